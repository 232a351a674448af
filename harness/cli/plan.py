"""`tailgate plan`: how long each gate needs to be decided, and how long the run will take. Starts no service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from harness.cli.display import output
from harness.errors import Problem, ScenarioError, UsageError
from harness.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.rundir.searches.planned import (
        GateNeeds,
        PlannedCell,
        PlannedScenario,
        Search,
        SearchDuration,
    )
    from harness.scenario import LoadedScenario

_CASES: Final = ("PASS, nothing slow", "FAIL, outage of", "PASS, half", "FAIL, twice")
_UNKNOWN: Final = "-"


@click.command("plan")
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO…")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override a field, such as load.rate=20/s.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def plan_command(scenarios: tuple[str, ...], sets: tuple[str, ...], as_json: bool) -> int:
    """Say before anything runs how long each gate needs to be decided.

    For each gate: the length of its phase until it passes if nothing is slow, or if half the share that it
    allows is, and until it fails if twice that share is; and how long an outage of the planned phase, at a
    stretch, fails it. For each scenario: how long `tailgate run` takes on this machine, and the shortest load that
    can still pass every gate.
    """
    from harness.rundir.searches.planned import PlanDocument
    from harness.scenario import load_scenario
    from harness.search.around import around_load_s

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
    planned = [_planned(one, around_s) for one in loaded]
    if as_json:
        output.document(PlanDocument(scenarios=tuple(planned)).model_dump(mode="json"))
        return 0
    for one, needs in zip(loaded, planned, strict=True):
        for warning in one.warnings:
            click.echo(output.spell(warning, kind="warning"), err=True)
        _print(needs)
    return 0


def _planned(loaded: LoadedScenario, around_s: float) -> PlannedScenario:
    from harness.rundir.searches.planned import PlannedScenario
    from harness.search.scenario_needs import needs_of

    searches: dict[Search, Callable[[LoadedScenario], SearchDuration | None]] = {
        "capacity": _capacity,
        "frontier": _frontier,
    }
    found: dict[Search, SearchDuration | None] = {}
    refused: dict[Search, str] = {}
    for search, duration_of in searches.items():
        try:
            found[search] = duration_of(loaded)
        except UsageError as exc:
            found[search] = None
            refused[search] = f"{exc.message} (fix: {exc.fix})"
    cells = needs_of(loaded, around_s)
    return PlannedScenario(
        name=loaded.scenario.name,
        file=str(loaded.path),
        wall_s=round(sum(cell.wall_s for cell in cells), 1),
        capacity=found["capacity"],
        frontier=found["frontier"],
        refused=refused,
        cells=cells,
    )


def _print(planned: PlannedScenario) -> None:
    about = "at most about" if any(cell.runs > 1 for cell in planned.cells) else "about"
    output.say(f"{planned.name}: `tailgate run` takes {about} {_duration(planned.wall_s)} here ({planned.file})")
    shown: list[str] = []
    for cell in planned.cells:
        lines = list(_lines(cell))
        if cell.name:
            output.say(f"  cell {cell.name}{' as above' if lines == shown else ''}")
        if lines != shown:
            output.say("\n".join(lines))
        shown = lines
    each = " for each cell" if len(planned.cells) > 1 else ""
    searches = {"tailgate capacity": planned.capacity, "tailgate frontier --all": planned.frontier}
    for command, duration in searches.items():
        if duration:
            usual, most = _duration(duration.usual_s), _duration(duration.most_s)
            output.say(f"  `{command}` usually takes about {usual}{each}, at most {most}, with its usual loads")
    for search, reason in planned.refused.items():
        output.say(f"  `tailgate {search}` is refused: {reason}")
    if any(gate.every_arrival for cell in planned.cells for gate in cell.gates):
        output.say(
            "  `for NAME` of a locustfile: as if every arrival sent that request; where one in ten does, it takes ten "
            "times as long"
        )
    output.say(
        "  half, twice: of the share that the gate allows; times are of its phase, with slow requests spread evenly; "
        "those in spells need longer"
    )


def _capacity(loaded: LoadedScenario) -> SearchDuration | None:
    """Of a capacity search of one cell; None if the scenario has nothing for it. Raises UsageError if its usual soak is
    too short."""
    from harness.rundir.searches.planned import SearchDuration
    from harness.scenario.load import dry_plan
    from harness.search.answers.short_soak import refuse_short_soak
    from harness.search.capacity import Settings
    from harness.search.capacity_run import announced_ms, rate_curves
    from harness.search.load_plans import refuse_unsearchable

    plan, _ = dry_plan(loaded.cells[0].loaded.checked)
    try:
        refuse_unsearchable(plan)
    except UsageError:
        return None
    settings = Settings.usual(plan)
    curves = rate_curves(plan, None, settings)
    refuse_short_soak(plan, [gate for each in curves for gate in each.gates.gates], settings.soak_ms, None)
    usual_ms, longest_ms = announced_ms(curves)
    return SearchDuration(usual_s=round(usual_ms / 1000, 1), most_s=round(longest_ms / 1000, 1))


def _frontier(loaded: LoadedScenario) -> SearchDuration | None:
    """Of a frontier search of all upstreams of one cell; None if the scenario has nothing for it. Raises UsageError if
    its usual soak is too short."""
    from harness.rundir.searches.planned import SearchDuration
    from harness.search.frontier.frontier_run import plan_all, refuse_short_soaks
    from harness.search.frontier.level_loads import FrontierSettings

    try:
        search = plan_all(loaded.cells[0], FrontierSettings.of_all(loaded.cells[0]))
    except UsageError:
        return None
    refuse_short_soaks(search)
    return SearchDuration(usual_s=round(search.usual_ms / 1000, 1), most_s=round(search.longest_ms / 1000, 1))


def _lines(cell: PlannedCell) -> list[str]:
    width = max((len(gate.text) for gate in cell.gates), default=0)
    header = f"    {'gate':<{width}}  {'planned':>8}  " + "  ".join(f"{case:>18}" for case in _CASES)
    lines = [header, *(_line(gate, width, cell.runs) for gate in cell.gates)]
    pooled = f"{cell.runs} runs, each " if cell.runs > 1 else ""
    least = ""
    if cell.least_s is not None and cell.least_s < cell.load_s:
        least = f"; the shortest that can pass every gate is {_duration(cell.least_s)}"
    lines.append(f"    load: {pooled}{_duration(cell.load_s)} with its warm-up{least}")
    lines += [f"    {note}" for note in cell.notes]
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
