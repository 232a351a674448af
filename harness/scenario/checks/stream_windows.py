"""What the windows of a scenario hold of each stream, and stages of requests that do not fit the load. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from harness.gates import Gate
from harness.rundir.phases import Phase
from harness.rundir.plan import Plan
from harness.scenario.planning.arrivals import expected_arrivals
from harness.scenario.planning.compile import CheckedScenario
from harness.scenario.planning.timeline import stages_ms
from harness.scenario.source.diagnostics import Diagnostic
from harness.units import duration_literal

ROUNDING_MS: Final = 0.001
"""Tolerance for rounding errors: the bounds of a phase are sums of fractions of milliseconds."""


def stage_findings(checked: CheckedScenario) -> Iterator[Diagnostic]:
    """Stages of a request that go on after the load has ended."""
    load, lasts_ms = checked.scenario.load, checked.timeline.duration_ms
    for index, request in enumerate(load.written_requests):
        if (own_ms := stages_ms(request.stages)) > lasts_ms + ROUNDING_MS:
            message = f"the stages of `{request.name}` last {duration_literal(own_ms)}, and the load ends after "
            fix = f"shorten them, or let the load last {duration_literal(own_ms)}"
            yield Diagnostic((*load.path_of(index), "stages"), f"{message}{duration_literal(lasts_ms)}", fix)


def ramp_warnings(checked: CheckedScenario) -> Iterator[Diagnostic]:
    """First stages that ramp up from nothing, so that the warm-up sends nothing."""
    load = checked.scenario.load
    ramps: list[tuple[str | int, ...]] = []
    if load.stages and load.stages[0].shape == "ramp":
        ramps.append(("load", "stages", 0))
    for index, request in enumerate(load.written_requests):
        if request.stages and request.stages[0].shape == "ramp":
            ramps.append((*load.path_of(index), "stages", 0))
    for path in ramps if checked.timeline.warmup_ms else ():
        found = "the first stage ramps up from 0/s, so the warm-up sends nothing"
        yield Diagnostic(path, found + (" of this request" if len(path) > 3 else ""), "begin with a step")


def planned_rate_per_s(plan: Plan, phase: Phase, requests: Sequence[str]) -> float | None:
    """The mean planned rate of these requests (of all, if none is named) in a phase; None if it is not planned: in the
    closed model, and with a locustfile, whose arrivals may send several requests each."""
    if not plan.load.streams or not phase.seconds or plan.load.locustfile is not None:
        return None
    return expected_arrivals(plan.load, phase, requests) / phase.seconds


def counted_ms(plan: Plan, phase: Phase, gate: Gate) -> float:
    """How much of the phase has arrivals that the gate counts; the rest of it shows nothing."""
    from scenarios.load import active_intervals

    active = active_intervals(plan.load, gate.requests())
    if active is None:
        return phase.seconds * 1000
    pairs = ((span, other) for span in phase.intervals for other in active)
    return sum(max(0.0, min(span[1], other[1]) - max(span[0], other[0])) for span, other in pairs)


def rate_to_raise(plan: Plan, gate: Gate) -> tuple[float, str]:
    """Which rate to raise for more arrivals that the gate counts: the share of them among all that it brings, and whose
    rate it is, for people."""
    places = plan.load.places(gate.requests())
    counted = [stream for stream in plan.load.streams if stream.share(places)]
    if len(counted) != 1 or len(plan.load.streams) == 1:
        return sum(stream.share(places) for stream in counted) / max(len(counted), 1) or 1.0, ""
    return counted[0].share(places), f" of `{counted[0].name}`" if counted[0].name else " of the load"
