"""`tailgate validate`: checks scenarios and says what they would do. Starts nothing, opens no port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.display import output
from harness.errors import Problem, ScenarioError
from harness.units import format_count, format_duration, format_share, format_things

if TYPE_CHECKING:
    from harness.scenario import LoadedScenario
    from harness.scenario.preview import (
        CellPreview,
        FaultPreview,
        LoginPreview,
        PhasePreview,
        RoutePreview,
        StreamPreview,
        UpstreamPreview,
    )

ROUTES_SHOWN: Final = 12
"""Routes of one upstream that are listed."""
STREAMS_SHOWN: Final = 4
"""The most streams whose arrivals are shown for each phase; the JSON document has all."""
OTHERS: Final = "(others)"
"""Stands for the requests without a rate of their own."""


@click.command("validate")
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO…")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override a field, such as load.rate=20/s.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def validate_command(scenarios: tuple[str, ...], sets: tuple[str, ...], as_json: bool) -> int:
    """Check scenarios without starting anything.

    SCENARIO is a file, or the name of one in the catalog (such as `ladder`). Every problem is shown with
    its place and a way out; exit code 2 if there is any.
    """
    from harness.scenario import load_scenario
    from harness.scenario.preview import preview

    loaded: list[LoadedScenario] = []
    problems: list[Problem] = []
    for scenario in scenarios:
        try:
            loaded.append(load_scenario(scenario, sets))
        except ScenarioError as exc:
            problems += exc.problems
    if problems:
        raise ScenarioError(tuple(problems))
    if as_json:
        output.document(
            {"schema_version": 1, "kind": "validate", "scenarios": [_document(one, preview(one)) for one in loaded]}
        )
        return 0
    for one in loaded:
        for warning in one.warnings:
            click.echo(output.spell(warning, kind="warning"), err=True)
        _print(one, preview(one))
    return 0


def _print(loaded: LoadedScenario, cells: list[CellPreview]) -> None:
    whole = format_duration(sum(cell.wall_ms for cell in cells))
    count = f"{format_things(len(cells), 'cell')}, " if loaded.scenario.matrix else ""
    output.say(f"{loaded.scenario.name}: ok, {count}about {whole} ({loaded.path})")
    shown: list[str] = []
    for cell in cells:
        lines = [
            f"    {phase.name:<24} {format_duration(phase.length_ms):>8}  {_arrivals(phase, cell.streams)}"
            for phase in cell.phases
        ]
        lines += [f"    {_stream(stream)}" for stream in cell.streams]
        lines += [f"    {_login(cell.login)}"] if cell.login else []
        lines += [f"    fault {fault.name}: {_fault(fault)}" for fault in cell.faults]
        if cell.name:
            same = " as above" if lines == shown else ""
            output.say(f"  cell {cell.name}, expected {' or '.join(cell.expected)}{same}")
        if lines != shown:
            output.say("\n".join(lines))
        shown = lines
    for line in _upstreams([upstream for cell in cells[:1] for upstream in cell.upstreams]):
        output.say(line)
    bases = {upstream.name: upstream.base_path for cell in cells[:1] for upstream in cell.upstreams}
    for line in _routes([route for cell in cells[:1] for route in cell.routes], bases):
        output.say(line)
    for note in _slots_notes(loaded):
        click.echo(f"  {note}")
    if loaded.scenario.gates is None:
        click.echo("  no `gates`: p99 < gateway.timeout is a floor, not a service level")


def _upstreams(upstreams: Sequence[UpstreamPreview]) -> Iterator[str]:
    """What can be known of each, those of which the same holds on one line."""
    of: dict[str, list[str]] = {}
    for upstream in upstreams:
        of.setdefault(_known_of(upstream), []).append(upstream.name)
    for known, names in of.items():
        yield f"    {', '.join(names)}: {known}"


def _known_of(upstream: UpstreamPreview) -> str:
    """`https://pay.example: each call is recorded; every fault but those on processes; gates on its calls`."""
    origin = upstream.origin if upstream.records_calls else f"{upstream.protocol} at {upstream.origin}"
    known = f"each call is recorded; {upstream.bears}; gates on its calls"
    if not upstream.records_calls:
        known = f"only connections are seen; {upstream.bears}; no gate on its calls"
    load = ""
    if upstream.outside:
        rate = (
            "as many calls as the users make" if upstream.calls_per_s is None else f"{upstream.calls_per_s:g} calls/s"
        )
        load = f"; outside this machine, and asked for up to {rate} if a request calls it once"
    return f"{origin}: {known}{load}"


def _routes(routes: Sequence[RoutePreview], bases: Mapping[str, str]) -> Iterator[str]:
    """The routes of each fake that has any, the first ROUTES_SHOWN of each; the JSON document has all.

    `bases`: by the upstream's name, the path with which all its routes begin, or an empty text.
    """
    of: dict[str, list[RoutePreview]] = {}
    for route in routes:
        of.setdefault(route.upstream, []).append(route)
    for upstream, its_routes in of.items():
        base = bases.get(upstream, "")
        below = (
            f", below {base}: a service that does not add {base} itself needs {{{upstream}.url}}{base}" if base else ""
        )
        yield f"    {upstream} answers {format_things(len(its_routes), 'route')}{below}"
        yield from (f"      {route.name:<40} {_latency(route)}".rstrip() for route in its_routes[:ROUTES_SHOWN])
        if len(its_routes) > ROUTES_SHOWN:
            yield f"      and {len(its_routes) - ROUTES_SHOWN} more"


def _latency(route: RoutePreview) -> str:
    """`p50 120 ms, p99 610 ms (340 recorded)`."""
    parts = [
        f"{name} {format_duration(ms)}" for name, ms in (("p50", route.p50_ms), ("p99", route.p99_ms)) if ms is not None
    ]
    recorded = f" ({route.recorded:,} recorded)" if route.recorded is not None else ""
    return f"{', '.join(parts)}{recorded}".strip()


def _slots_notes(loaded: LoadedScenario) -> list[str]:
    """That this machine's open-file limit cuts the slots of the scenario or of its cells; said once each."""
    from harness.scenario.load import dry_plan
    from harness.stack.processes.fd_limits import fit_slots, slots_note

    plans = [
        dry_plan(cell.loaded.checked)[0] for cell in loaded.cells if cell.loaded.scenario.load.max_in_flight is None
    ]
    return list(dict.fromkeys(note for plan in plans if (note := slots_note(fit_slots(plan)))))


def _fault(fault: FaultPreview) -> str:
    """`status 503 on azure, for 10% of the requests, at 35.0 s for 20.0 s`."""
    share = "" if fault.share == 1 else f", for {format_share(fault.share)} of the {fault.drawn}s"
    again = f", {len(fault.at_ms)} times; the gaps count as well" if len(fault.at_ms) > 1 else ""
    when = f"at {format_duration(fault.at_ms[0])} for {format_duration(fault.for_ms)}"
    unmet = "; the service need not meet it" if fault.met == "optional" else ""
    return f"{fault.text} on {', '.join(fault.upstreams)}{share}, {when}{again}{unmet}"


def _stream(stream: StreamPreview) -> str:
    """`stream sign-in: 0/s to 50/s, nothing after 1m 30s`."""
    name = stream.name or OTHERS
    low, high = f"{stream.lowest_per_s:g}/s", f"{stream.highest_per_s:g}/s"
    ends = "" if stream.ends_ms is None else f", nothing after {format_duration(stream.ends_ms)}"
    return f"stream {name}: {high if low == high else f'{low} to {high}'}{ends}"


def _login(login: LoginPreview) -> str:
    """`login POST /token: 10 sessions sign in before the load, renewed every 10m; no part of what is measured`."""
    renewed = "" if login.every_ms is None else f", each renewed every {format_duration(login.every_ms)}"
    return (
        f"login {login.request}: {format_things(login.users, 'session')} before the load{renewed}; "
        "no part of what is measured"
    )


def _arrivals(phase: PhasePreview, streams: Sequence[StreamPreview]) -> str:
    stretches = f", in {phase.stretches} stretches" if phase.stretches > 1 else ""
    if 1 < len(streams) <= STREAMS_SHOWN:
        each = zip(streams, phase.by_stream, strict=True)
        stretches += f": {', '.join(f'{stream.name or OTHERS} {format_count(round(n))}' for stream, n in each)}"
    if phase.arrivals is None:
        return f"as the users go{stretches}"
    return f"{format_count(round(phase.arrivals)):>7} arrivals{stretches}"


def _document(loaded: LoadedScenario, cells: list[CellPreview]) -> dict[str, Any]:
    return {
        "name": loaded.scenario.name,
        "file": str(loaded.path),
        "sha256": loaded.sha256,
        "cells": [asdict(cell) for cell in cells],
        "warnings": [asdict(warning) for warning in loaded.warnings],
    }
