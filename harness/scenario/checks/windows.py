"""Checks before anything starts that each gate's window is long enough and gets enough arrivals to decide. Pure.

Refuses gates whose window is empty or too short for any PASS (`fault_windows` checks the faults). Warns of a window
that is long enough for a PASS only if next to no request is slow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from harness.gates import Gate
from harness.gates.context import FirstWindow, ScenarioWindows
from harness.rundir.phases import Phase, planned_phases
from harness.rundir.plan import Plan
from harness.scenario.checks.fault_windows import (
    end_needed_ms,
    fault_findings,
    load_end_findings,
    overlap,
    overlap_findings,
    share_warnings,
)
from harness.scenario.checks.stream_windows import (
    ROUNDING_MS,
    counted_ms,
    planned_rate_per_s,
    ramp_warnings,
    rate_to_raise,
    stage_findings,
)
from harness.scenario.checks.window_fixes import RATE_MOST_PER_S, WindowFixes, rate_that_suffices
from harness.scenario.checks.window_lengths import round_up, wanted_lengths
from harness.scenario.names.gate_names import LocatedGate
from harness.scenario.planning.arrivals import expected_arrivals
from harness.scenario.planning.compile import CheckedScenario
from harness.scenario.planning.timeline import (
    BASELINE_JUDGED_MS,
    COMFORT,
    RECOVERY_MS,
    decided_ms,
    lowest_rate_per_s,
    own_schedule,
    schedule_of,
)
from harness.scenario.source.diagnostics import Diagnostic
from harness.units import duration_literal

DEFAULT_MS: Final = {True: BASELINE_JUDGED_MS, False: RECOVERY_MS}
"""For an empty window whose gates would be decided in any: the baseline, or a phase after a fault."""


@dataclass(slots=True)
class Diagnostics:
    problems: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


def check_windows(checked: CheckedScenario, plan: Plan) -> Diagnostics:
    diagnostics = Diagnostics()
    diagnostics.problems += _load(checked)
    diagnostics.warnings += ramp_warnings(checked)
    short: set[str] = set()
    plan_of_gates, phases = _long_enough(checked, plan)
    fixes = WindowFixes(checked, wanted_lengths(checked, plan, phases))
    for index, fault in enumerate(checked.scenario.faults):
        planned = next((each for each in plan.faults if each.name == fault.name), None)
        if planned is not None:
            ended = list(load_end_findings(checked, index, planned, fixes))
            found = list(fault_findings(checked, plan, index, phases[fault.name], fixes))
            diagnostics.problems += ended + found
            short |= {fault.name} if found or (ended and plan_of_gates is plan) else set()
            diagnostics.warnings += share_warnings(index, planned)
    diagnostics.problems += overlap_findings(checked, plan)
    as_written = {phase.name: phase for phase in planned_phases(plan)}
    windows = _Windows(checked, plan_of_gates, phases, as_written, frozenset(short), fixes)
    for named in checked.gates:
        if phases.keys() >= set(named.gate.phases()):  # an unprovable fault has no window
            _gate(windows, named, diagnostics)
    return diagnostics


def _long_enough(checked: CheckedScenario, plan: Plan) -> tuple[Plan, dict[str, Phase]]:
    """The plan whose windows the gates are checked with, and its phases.

    If the load is refused because it ends before a fault is over, that is the plan with the load that is proposed: a
    window that the end cuts is not too short, and one that is too short anyway is said at the same time.
    """
    load, timeline = checked.scenario.load, checked.timeline
    needed_ms = max((end_needed_ms(checked, fault) for fault in plan.faults), default=0.0)
    if load.duration_ms is not None and needed_ms > timeline.duration_ms:
        longer = replace(timeline, duration_ms=needed_ms)
        requests = tuple(
            planned.model_copy(update={"schedule": own_schedule(written, load, longer)})
            for planned, written in zip(plan.load.requests, load.written_requests, strict=False)
        )
        schedule = schedule_of(load, longer, checked.inputs.replay_ms)
        update = {"duration_ms": needed_ms, "schedule": schedule, "requests": requests or plan.load.requests}
        plan = plan.model_copy(update={"load": plan.load.model_copy(update=update)})
    return plan, {phase.name: phase for phase in planned_phases(plan)}


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
    yield from stage_findings(checked)


# ---------------------------------------------------------------- gates


@dataclass(frozen=True, slots=True)
class _Windows:
    """The planned windows. `as_written`: as the load of the scenario cuts them; `_long_enough` says when that differs.
    `short`: those whose fault is refused because it is too short for them; a gate on such a
    window would repeat that."""

    checked: CheckedScenario
    plan: Plan
    phases: dict[str, Phase]
    as_written: dict[str, Phase]
    short: frozenset[str]
    fixes: WindowFixes


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
        wanted_ms = max(decided_ms(checked.scenario, gate), needed_ms if phase.name == gate.phase else 0.0)
        diagnostics.problems.append(
            Diagnostic(
                named.path,
                f"the plan leaves `{phase.name}` empty, so nothing could be judged",
                windows.fixes.length(phase, wanted_ms or DEFAULT_MS[phase.name == "baseline"]),
            )
        )
    known = [phase for phase in own if phase.intervals]
    if needed_ms and phases[gate.phase] in known and windows.as_written[gate.phase].intervals:
        diagnostics.problems += _load_after(windows, windows.as_written[gate.phase], named, needed_ms)
    refused = windows.short.union(phase.name for phase in empty)
    diagnostics.problems += named.diagnostics(gate.window_diagnostics(_as_gates_see(windows, refused)))
    before = len(diagnostics.problems)
    _enough_moments(windows, known, named, diagnostics)
    if plan.load.streams and len(diagnostics.problems) == before:
        diagnostics.problems += _enough_arrivals(checked, plan, known, named)


def _as_gates_see(windows: _Windows, refused: frozenset[str]) -> ScenarioWindows:
    """The planned windows, as gates see them. `refused`: windows whose length is refused anyway, so that no gate need
    do it; they count as endless."""
    plan, phases = windows.plan, windows.phases
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
        rate_per_s=lambda phase, requests: planned_rate_per_s(plan, phases[phase], requests),
        suggest_longer=lambda phase, short_ms: windows.fixes.longer(phases[phase], short_ms),
    )


def _overlap_before(plan: Plan, phase: str) -> str:
    """Why the recovery from a fault cannot be separated from that of another one; empty: it can."""
    mine = next((fault for fault in plan.faults if f"after {fault.name}" == phase), None)
    for other in plan.faults if mine else ():
        assert mine is not None
        if other.name != mine.name and overlap(mine, other):
            return f"`{mine.name}` and `{other.name}` overlap, so it would be unclear from which of them it recovers"
    return ""


def _load_after(windows: _Windows, phase: Phase, named: LocatedGate, needed_ms: float) -> Iterator[Diagnostic]:
    has_ms = phase.seconds * 1000
    if has_ms >= needed_ms - ROUNDING_MS:
        return
    load = windows.checked.scenario.load
    rate_per_s = lowest_rate_per_s(load, named.gate)
    by_rate = needed_ms > named.gate.load_needed_after_ms(RATE_MOST_PER_S)
    at = f" at {'the lowest rate, ' if load.stages else ''}{rate_per_s:g}/s" if by_rate else ""
    fix = windows.fixes.load_after(phase, needed_ms)
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
        shown_ms = counted_ms(plan, phase, named.gate)
        has_ms = shown_ms * verdict.runs
        needed_ms = moments * verdict.clump_ms
        if has_ms >= needed_ms * COMFORT or not shown_ms:  # `_enough_arrivals` refuses a phase without any
            continue
        clump_ms = math.floor(has_ms / (moments * COMFORT))
        clump = duration_literal(clump_ms) if clump_ms >= 1 else ""
        others = f", or `verdict: {{clump: {clump}}}` where slow spells are that short" if clump else ""
        window = f"the window `{phase.name}` of `{named.gate.text}` is {duration_literal(phase.seconds * 1000)} long"
        arrivals_ms = _arrivals_needed_ms(checked, plan, phase, named.gate) * verdict.runs
        short_ms = (max(needed_ms * COMFORT, arrivals_ms) - has_ms) / verdict.runs
        fix = windows.fixes.longer(phase, short_ms)
        least = windows.fixes.least(phase, short_ms, (max(needed_ms, arrivals_ms) - has_ms) / verdict.runs)
        if shown_ms < phase.seconds * 1000:
            window += f", and what it counts arrives for {duration_literal(shown_ms)} of it"
            fix, least = f"let its requests arrive for {round_up(shown_ms + short_ms)}", ""
        if has_ms < needed_ms:
            diagnostics.problems.append(
                Diagnostic(
                    named.path,
                    f"{window}; a PASS needs {round_up(needed_ms)}, {moments} clumps of "
                    f"{duration_literal(verdict.clump_ms)}",
                    fix + others + least,
                )
            )
        else:
            message = f"{window}; it can pass only if next to no request is slow"
            diagnostics.warnings.append(Diagnostic(named.path, message, fix))


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
    share, of = rate_to_raise(plan, named.gate)
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
