"""Checks before anything starts that each gate's window is long enough and gets enough arrivals to decide. Pure.

Refuses gates whose window is empty or too short for any PASS (`fault_windows` checks the faults). Warns of a window
that is long enough for a PASS only if next to no request is slow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.gates import Gate
from harness.gates.context import FirstWindow, ScenarioWindows
from harness.rundir.phases import Phase, planned_phases
from harness.rundir.plan import Plan
from harness.scenario.checks.fault_windows import fault_findings, overlap, overlap_findings, share_warnings
from harness.scenario.checks.window_fixes import (
    RATE_MOST_PER_S,
    rate_that_suffices,
    round_up,
    round_up_ms,
    suggest_length,
    suggest_load_after,
    suggest_longer,
)
from harness.scenario.names.gate_names import LocatedGate
from harness.scenario.planning.arrivals import expected_arrivals
from harness.scenario.planning.compile import CheckedScenario
from harness.scenario.planning.timeline import (
    BASELINE_JUDGED_MS,
    COMFORT,
    RECOVERY_MS,
    lowest_rate_per_s,
    stages_ms,
)
from harness.scenario.source.diagnostics import Diagnostic
from harness.units import duration_literal

DEFAULT_MS: Final = {True: BASELINE_JUDGED_MS, False: RECOVERY_MS}
"""For an empty window whose gates would be decided in any: the baseline, or a phase after a fault."""
ROUNDING_MS: Final = 0.001
"""Tolerance for rounding errors: the bounds of a phase are sums of fractions of milliseconds."""


@dataclass(slots=True)
class Diagnostics:
    problems: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


def check_windows(checked: CheckedScenario, plan: Plan) -> Diagnostics:
    diagnostics = Diagnostics()
    diagnostics.problems += _load(checked)
    diagnostics.warnings += _load_warnings(checked)
    short: set[str] = set()
    for index, fault in enumerate(checked.scenario.faults):
        planned = next((each for each in plan.faults if each.name == fault.name), None)
        if planned is not None:
            judged = (located.gate for located in checked.gates if fault.name in located.gate.phases())
            judged_ms = max((_decided_ms(checked, gate) for gate in judged), default=0.0)
            found = list(fault_findings(checked, plan, index, planned, judged_ms))
            diagnostics.problems += found
            short |= {fault.name} if found else set()
            diagnostics.warnings += share_warnings(index, planned)
    diagnostics.problems += overlap_findings(checked, plan)
    phases = {phase.name: phase for phase in planned_phases(plan)}
    for named in checked.gates:
        if phases.keys() >= set(named.gate.phases()):  # an unprovable fault has no window
            _gate(_Windows(checked, plan, phases, frozenset(short)), named, diagnostics)
    return diagnostics


# ---------------------------------------------------------------- load


def _load(checked: CheckedScenario) -> Iterator[Diagnostic]:
    load = checked.scenario.load
    if (
        load.replay is not None
        and checked.inputs.replay_ms
        and checked.inputs.replay_ms[-1] < checked.timeline.warmup_ms
    ):
        last = duration_literal(checked.inputs.replay_ms[-1])
        yield Diagnostic(("load", "replay"), f"the recording ends at {last}, within the warm-up", "write warmup: 0s")
    lasts_ms = checked.timeline.duration_ms
    for index, request in enumerate(load.written_requests):
        if (own_ms := stages_ms(request.stages)) > lasts_ms + ROUNDING_MS:
            message = f"the stages of `{request.name}` last {duration_literal(own_ms)}, and the load ends after "
            fix = f"shorten them, or let the load last {duration_literal(own_ms)}"
            yield Diagnostic((*load.path_of(index), "stages"), f"{message}{duration_literal(lasts_ms)}", fix)


def _load_warnings(checked: CheckedScenario) -> Iterator[Diagnostic]:
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


# ---------------------------------------------------------------- gates


@dataclass(frozen=True, slots=True)
class _Windows:
    """The planned windows. `short`: those whose fault is refused because it is too short for them; a gate on such a
    window would repeat that."""

    checked: CheckedScenario
    plan: Plan
    phases: dict[str, Phase]
    short: frozenset[str]


def _gate(windows: _Windows, named: LocatedGate, diagnostics: Diagnostics) -> None:
    """Checks every window of the gate, so that all that it needs is known at once."""
    gate, checked, plan, phases = named.gate, windows.checked, windows.plan, windows.phases
    needed_ms = gate.load_needed_after_ms(lowest_rate_per_s(checked.scenario.load, gate))
    overlapped = _overlap_before(plan, gate.phase) if needed_ms else ""
    if overlapped:
        diagnostics.problems.append(Diagnostic(named.path, overlapped, "keep the faults apart in time"))
        return
    own = [phases[name] for name in gate.phases() if name not in windows.short]
    empty = [phase for phase in own if not phase.intervals]
    for phase in empty:
        wanted_ms = max(_decided_ms(checked, gate), needed_ms if phase.name == gate.phase else 0.0)
        diagnostics.problems.append(
            Diagnostic(
                named.path,
                f"the plan leaves `{phase.name}` empty, so nothing could be judged",
                suggest_length(checked, phase, wanted_ms or DEFAULT_MS[phase.name == "baseline"]),
            )
        )
    known = [phase for phase in own if phase.intervals]
    if needed_ms and phases[gate.phase] in known:
        diagnostics.problems += _load_after(checked, phases[gate.phase], named, needed_ms)
    refused = windows.short.union(phase.name for phase in empty)
    diagnostics.problems += named.diagnostics(gate.window_diagnostics(_as_gates_see(windows, refused)))
    before = len(diagnostics.problems)
    _enough_moments(windows, known, named, diagnostics)
    if plan.load.streams and len(diagnostics.problems) == before:
        diagnostics.problems += _enough_arrivals(checked, plan, known, named)


def _needed_ms(checked: CheckedScenario, gate: Gate) -> float:
    """How long a window must be for the gate to decide with a margin, whatever arrives in it; 0: any length will do."""
    verdict = checked.scenario.verdict
    moments_ms = gate.moments(verdict.confidence) * verdict.clump_ms * COMFORT / verdict.runs
    return max(moments_ms, gate.window_needed_ms())


def _decided_ms(checked: CheckedScenario, gate: Gate) -> float:
    """As `_needed_ms`, and long enough for as many arrivals at the lowest planned rate."""
    per_ms = lowest_rate_per_s(checked.scenario.load, gate) / 1000
    verdict = checked.scenario.verdict
    arrivals_ms = gate.moments(verdict.confidence) / (per_ms * verdict.runs) if per_ms else 0.0
    return max(_needed_ms(checked, gate), arrivals_ms)


def _grown_ms(windows: _Windows) -> float:
    """By how much the load will last longer when the fixes of all shorter windows are applied."""
    checked, timeline, grown_ms = windows.checked, windows.checked.timeline, 0.0
    faults = {fault.name: fault.for_ms for fault in checked.scenario.faults}
    held_ms = {fault.name: fault.held_ms for fault in windows.plan.faults}
    for name, phase in windows.phases.items():
        wanted_ms = max((_decided_ms(checked, g.gate) for g in checked.gates if name in g.gate.phases()), default=0.0)
        short_ms = wanted_ms - phase.seconds * 1000
        if name == "whole" or short_ms <= 0:
            continue
        if name in windows.short:
            grown_ms += round_up_ms(held_ms[name] + wanted_ms) - faults[name]
        else:
            before_ms = faults.get(name, timeline.baseline_ms if name == "baseline" else timeline.recovery_ms)
            grown_ms += round_up_ms(before_ms + short_ms) - before_ms
    return grown_ms


def _as_gates_see(windows: _Windows, refused: frozenset[str]) -> ScenarioWindows:
    """The planned windows, as gates see them. `refused`: windows whose length is refused anyway, so that no gate need
    do it; they count as endless."""
    checked, plan, phases = windows.checked, windows.plan, windows.phases
    lengths_ms = {phase.name: phase.seconds * 1000 for phase in phases.values()}
    return ScenarioWindows(
        lengths_ms=lengths_ms | dict.fromkeys(refused, math.inf),
        faults=tuple(
            FirstWindow(
                fault.name,
                fault.upstreams,
                plan.load.warmup_ms + fault.windows[0].apply_ms,
                fault.windows[0].remove_ms - fault.windows[0].apply_ms,
            )
            for fault in plan.faults
        ),
        rate_per_s=lambda phase, requests: _rate_per_s(plan, phases[phase], requests),
        suggest_longer=lambda phase, short_ms: suggest_longer(checked, phases[phase], short_ms, _grown_ms(windows)),
    )


def _rate_per_s(plan: Plan, phase: Phase, requests: Sequence[str]) -> float | None:
    if not plan.load.streams or not phase.seconds:
        return None
    return expected_arrivals(plan.load, phase, requests) / phase.seconds


def _overlap_before(plan: Plan, phase: str) -> str:
    """Why the recovery from a fault cannot be separated from that of another one; empty: it can."""
    mine = next((fault for fault in plan.faults if f"after {fault.name}" == phase), None)
    for other in plan.faults if mine else ():
        assert mine is not None
        if other.name != mine.name and overlap(mine, other):
            return f"`{mine.name}` and `{other.name}` overlap, so it would be unclear from which of them it recovers"
    return ""


def _load_after(checked: CheckedScenario, phase: Phase, named: LocatedGate, needed_ms: float) -> Iterator[Diagnostic]:
    has_ms = phase.seconds * 1000
    if has_ms >= needed_ms - ROUNDING_MS:
        return
    load = checked.scenario.load
    rate_per_s = lowest_rate_per_s(load, named.gate)
    by_rate = needed_ms > named.gate.load_needed_after_ms(RATE_MOST_PER_S)
    at = f" at {'the lowest rate, ' if load.stages else ''}{rate_per_s:g}/s" if by_rate else ""
    fix = suggest_load_after(checked, phase, needed_ms)
    enough = rate_that_suffices(named.gate.load_needed_after_ms, rate_per_s, has_ms + ROUNDING_MS) if by_rate else None
    yield Diagnostic(
        named.path,
        f"after `{phase.name.removeprefix('after ')}` the load goes on for {duration_literal(has_ms)}; "
        f"to decide, this gate needs {round_up(needed_ms)}{at}",
        fix if enough is None else f"{fix}, or a rate of at least {enough}/s",
    )


def _enough_moments(windows: _Windows, known: Sequence[Phase], named: LocatedGate, diagnostics: Diagnostics) -> None:
    """Checks the length of each window. A fix includes a margin and enough arrivals, so that the same gate is not
    refused again after it."""
    checked, plan, verdict = windows.checked, windows.plan, windows.checked.scenario.verdict
    moments = named.gate.moments(verdict.confidence)
    for phase in known if moments else ():
        counted_ms = _counted_ms(plan, phase, named.gate)
        has_ms = counted_ms * verdict.runs
        needed_ms = moments * verdict.clump_ms
        if has_ms >= needed_ms * COMFORT or not counted_ms:  # `_enough_arrivals` refuses a phase without any
            continue
        clump_ms = math.floor(has_ms / (moments * COMFORT))
        clump = duration_literal(clump_ms) if clump_ms >= 1 else ""
        others = f", or `clump: {clump}` where slow spells are that short" if clump else ""
        window = f"the window `{phase.name}` of `{named.gate.text}` is {duration_literal(phase.seconds * 1000)} long"
        wanted_ms = max(needed_ms * COMFORT, _arrivals_needed_ms(checked, plan, phase, named.gate) * verdict.runs)
        fix = suggest_longer(checked, phase, (wanted_ms - has_ms) / verdict.runs, _grown_ms(windows))
        if counted_ms < phase.seconds * 1000:
            arrive = f"what it counts arrives for {duration_literal(counted_ms)} of it"
            window, fix = f"{window}, and {arrive}", f"let its requests arrive for {round_up(wanted_ms / verdict.runs)}"
        if has_ms < needed_ms:
            diagnostics.problems.append(
                Diagnostic(
                    named.path,
                    f"{window}; a PASS needs {round_up(needed_ms)}, {moments} clumps of "
                    f"{duration_literal(verdict.clump_ms)}",
                    fix + others,
                )
            )
        else:
            message = f"{window}; it can pass only if next to no request is slow"
            diagnostics.warnings.append(Diagnostic(named.path, message, fix))


def _counted_ms(plan: Plan, phase: Phase, gate: Gate) -> float:
    """How much of the phase has arrivals that the gate counts; the rest of it shows nothing."""
    from scenarios.load import active_intervals

    active = active_intervals(plan.load, gate.requests())
    if active is None:
        return phase.seconds * 1000
    pairs = ((span, other) for span in phase.intervals for other in active)
    return sum(max(0.0, min(span[1], other[1]) - max(span[0], other[0])) for span, other in pairs)


def _arrivals_needed_ms(checked: CheckedScenario, plan: Plan, phase: Phase, gate: Gate) -> float:
    """How long the phase must be, at its rate, for a PASS to be possible; 0 where arrivals are not planned."""
    if not plan.load.streams or not phase.seconds:
        return 0.0
    per_ms = expected_arrivals(plan.load, phase, gate.requests()) / (phase.seconds * 1000)
    per_ms *= checked.scenario.verdict.runs
    return gate.moments(checked.scenario.verdict.confidence) / per_ms if per_ms else 0.0


def _enough_arrivals(
    checked: CheckedScenario, plan: Plan, known: Sequence[Phase], named: LocatedGate
) -> Iterator[Diagnostic]:
    moments = named.gate.moments(checked.scenario.verdict.confidence)
    share, of = _raised(plan, named.gate)
    for phase in known:
        arrivals = expected_arrivals(plan.load, phase, named.gate.requests())
        # the number of arrivals varies around its mean, so a mean that is half a per cent too small is accepted
        if moments and arrivals * checked.scenario.verdict.runs < moments * 0.995:
            rate = math.ceil(moments / max(share * phase.seconds * checked.scenario.verdict.runs, 1e-9))
            yield Diagnostic(
                named.path,
                f"`{named.gate.text}` sees about {arrivals:.0f} arrivals in `{phase.name}`, and a PASS needs {moments}",
                f"raise the rate{of} to {rate}/s there, or make the window longer",
            )


def _raised(plan: Plan, gate: Gate) -> tuple[float, str]:
    """Which rate to raise for more arrivals that the gate counts: the share of them among all that it brings, and whose
    rate it is, for people."""
    places = plan.load.places(gate.requests())
    counted = [stream for stream in plan.load.streams if stream.share(places)]
    if len(counted) != 1 or len(plan.load.streams) == 1:
        return sum(stream.share(places) for stream in counted) / max(len(counted), 1) or 1.0, ""
    return counted[0].share(places), f" of `{counted[0].name}`" if counted[0].name else " of the load"
