"""`tailgate plan`: how long each gate needs to be decided, and how long the run will take. Starts no service."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.display import output
from harness.errors import Problem, ScenarioError, UsageError
from harness.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.scenario import LoadedScenario
    from harness.search.scenario_needs import CellNeeds, GateNeeds

_CASES: Final = ("PASS, nothing slow", "FAIL, outage of", "PASS, half", "FAIL, twice")
_UNKNOWN: Final = "-"


@click.command("plan")
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO…")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override a field, such as load.rate=20/s.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def plan_command(scenarios: tuple[str, ...], sets: tuple[str, ...], as_json: bool) -> int:
    """Say before anything runs how long each gate needs to be decided.

    For each gate: the length of its phase until it passes if nothing is slow, or if half the share that it
    allows is, and until it fails if twice that share is; and how long an outage within the planned phase
    fails it. For each scenario: how long `tailgate run` takes on this machine, and the shortest load that
    can still pass every gate.
    """
    from harness.scenario import load_scenario
    from harness.search.around import around_load_s
    from harness.search.scenario_needs import needs_of

    loaded: list[LoadedScenario] = []
    problems: list[Problem] = []
    for scenario in scenarios:
        try:
            loaded.append(load_scenario(scenario, sets))
        except ScenarioError as exc:
            problems += exc.problems
    if problems:
        raise ScenarioError(tuple(problems))
    around_s = around_load_s()
    every = [(one, needs_of(one)) for one in loaded]
    if as_json:
        output.document(
            {
                "schema_version": 1,
                "kind": "plan",
                "scenarios": [_document(one, cells, around_s) for one, cells in every],
            }
        )
        return 0
    for one, cells in every:
        for warning in one.warnings:
            click.echo(output.spell(warning, kind="warning"), err=True)
        _print(one, cells, around_s)
    return 0


def _print(loaded: LoadedScenario, cells: Sequence[CellNeeds], around_s: float) -> None:
    wall_s = sum(cell.wall_s(around_s) for cell in cells)
    output.say(f"{loaded.scenario.name}: `tailgate run` takes about {_duration(wall_s)} here ({loaded.path})")
    shown: list[str] = []
    for cell in cells:
        lines = list(_lines(cell))
        if cell.name:
            output.say(f"  cell {cell.name}{' as above' if lines == shown else ''}")
        if lines != shown:
            output.say("\n".join(lines))
        shown = lines
    if capacity_s := _capacity_s(loaded):
        usual, most = map(_duration, capacity_s)
        each = " for each cell" if len(cells) > 1 else ""
        output.say(f"  `tailgate capacity` usually takes about {usual}{each}, at most {most}, with its usual loads")
    if frontier_s := _frontier_s(loaded):
        usual, most = map(_duration, frontier_s)
        each = " for each cell" if len(cells) > 1 else ""
        output.say(
            f"  `tailgate frontier --all` usually takes about {usual}{each}, at most {most}, with its usual loads"
        )
    if any(gate.every_arrival for cell in cells for gate in cell.gates):
        output.say(
            "  `for NAME` of a locustfile: as if every arrival sent that request; where one in ten does, it takes ten "
            "times as long"
        )
    output.say("  times are of a gate's phase, with slow requests spread evenly; those in spells need longer")


def _capacity_s(loaded: LoadedScenario) -> tuple[float, float] | None:
    """How long a capacity search of one cell takes usually, and at most; None if none is possible."""
    from harness.scenario.load import dry_plan
    from harness.search.capacity import Settings
    from harness.search.capacity_run import announced_ms, rate_curves
    from harness.search.load_plans import refuse_unsearchable

    plan, _ = dry_plan(loaded.cells[0].loaded.checked)
    try:
        refuse_unsearchable(plan)
    except UsageError:
        return None
    usual_ms, longest_ms = announced_ms(rate_curves(plan, None, Settings.usual(plan)))
    return usual_ms / 1000, longest_ms / 1000


def _frontier_s(loaded: LoadedScenario) -> tuple[float, float] | None:
    """How long a frontier search of all upstreams of one cell takes usually, and at most; None if none is possible."""
    from harness.search.frontier.frontier_run import plan_all
    from harness.search.frontier.level_loads import FrontierSettings

    try:
        search = plan_all(loaded.cells[0], FrontierSettings.of_all(loaded.cells[0]))
    except UsageError:
        return None
    return search.usual_ms / 1000, search.longest_ms / 1000


def _lines(cell: CellNeeds) -> list[str]:
    width = max((len(gate.text) for gate in cell.gates), default=0)
    header = f"    {'gate':<{width}}  {'planned':>8}  " + "  ".join(f"{case:>18}" for case in _CASES)
    lines = [header, *(_line(gate, width, cell.runs) for gate in cell.gates)]
    pooled = f"{cell.runs} runs, each " if cell.runs > 1 else ""
    least = ""
    if cell.least_s is not None and cell.least_s < cell.load_s:
        least = f"; the shortest that can pass every gate is {_duration(cell.least_s)}"
    lines.append(f"    load: {pooled}{_duration(cell.load_s)} with its warm-up{least}")
    return lines


def _line(gate: GateNeeds, width: int, runs: int) -> str:
    times = gate.times
    cases = (times.healthy_s, times.outage_s, times.half_s, times.twice_s)
    cells = "  ".join(f"{_duration(seconds):>18}" for seconds in cases)
    return f"    {gate.text:<{width}}  {_duration(gate.planned_s * runs):>8}  {cells}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    return format_duration(round(seconds, 1) * 1000) if seconds >= 0.05 else "any"


def _document(loaded: LoadedScenario, cells: Sequence[CellNeeds], around_s: float) -> dict[str, Any]:
    capacity_s = _capacity_s(loaded)
    return {
        "name": loaded.scenario.name,
        "file": str(loaded.path),
        "wall_s": round(sum(cell.wall_s(around_s) for cell in cells), 1),
        "capacity": capacity_s and {"usual_s": round(capacity_s[0], 1), "most_s": round(capacity_s[1], 1)},
        "cells": [{**asdict(cell), "wall_s": round(cell.wall_s(around_s), 1)} for cell in cells],
    }
