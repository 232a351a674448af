"""Can this plan decide what it is asked? Windows and arrivals, reckoned before anything starts. Pure.

Refuses gates whose window is empty or too short for any PASS (`fault_windows` looks at the faults); warns
where a window decides only if nothing at all goes wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.gates import Gate
from harness.gates.context import FirstWindow, ScenarioWindows
from harness.rundir.phases import Phase, planned_phases
from harness.rundir.plan import Plan, Schedule
from harness.scenario.checks.fault_windows import fault_findings, overlap, overlap_findings, share_warnings
from harness.scenario.checks.window_fixes import round_up, suggest_length, suggest_longer
from harness.scenario.names.gate_names import LocatedGate
from harness.scenario.planning.arrivals import expected_arrivals
from harness.scenario.planning.compile import CheckedScenario
from harness.scenario.planning.timeline import BASELINE_JUDGED_MS, COMFORT, lowest_rate_per_s, request_share
from harness.scenario.source.diagnostics import Diagnostic
from harness.units import duration_literal

ROUNDING_MS: Final = 0.001
"""A phase may seem this much shorter than it is: its bounds are sums of fractions of milliseconds."""


@dataclass(slots=True)
class Diagnostics:
    problems: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


def check_windows(made: CheckedScenario, plan: Plan) -> Diagnostics:
    checked = Diagnostics()
    checked.problems += _load(made)
    checked.warnings += _load_warnings(made)
    short: set[str] = set()
    for index, fault in enumerate(made.scenario.faults):
        planned = next((each for each in plan.faults if each.name == fault.name), None)
        if planned is not None:
            judged = (located.gate for located in made.gates if fault.name in located.gate.phases())
            judged_ms = max((_needed_ms(made, gate) for gate in judged), default=0.0)
            found = list(fault_findings(made, plan, index, planned, judged_ms))
            checked.problems += found
            short |= {fault.name} if found else set()
            checked.warnings += share_warnings(index, planned)
    checked.problems += overlap_findings(made, plan)
    phases = {phase.name: phase for phase in planned_phases(plan)}
    for named in made.gates:
        # a window too short in itself need not be told again by each gate, and a fault that nobody could prove has none
        if not short & set(named.gate.phases()) and phases.keys() >= set(named.gate.phases()):
            _gate(made, plan, phases, named, checked)
    return checked


# ---------------------------------------------------------------- load


def _load(made: CheckedScenario) -> Iterator[Diagnostic]:
    load = made.scenario.load
    if load.replay is not None and made.inputs.replay_ms and made.inputs.replay_ms[-1] < made.timeline.warmup_ms:
        last = duration_literal(made.inputs.replay_ms[-1])
        yield Diagnostic(("load", "replay"), f"the recording ends at {last}, within the warm-up", "write warmup: 0s")


def _load_warnings(made: CheckedScenario) -> Iterator[Diagnostic]:
    load = made.scenario.load
    if load.stages and load.stages[0].shape == "ramp" and made.timeline.warmup_ms:
        yield Diagnostic(
            ("load", "stages", 0),
            "the first stage ramps up from 0/s, so the warm-up sends nothing",
            "begin with a step",
        )


# ---------------------------------------------------------------- gates


def _gate(
    made: CheckedScenario, plan: Plan, phases: dict[str, Phase], named: LocatedGate, checked: Diagnostics
) -> None:
    gate = named.gate
    needed_ms = gate.load_needed_after_ms(lowest_rate_per_s(made.scenario.load))
    overlapped = _overlap_before(plan, gate.phase) if needed_ms else ""
    if overlapped:
        checked.problems.append(Diagnostic(named.path, overlapped, "keep the faults apart in time"))
        return
    known = [phases[name] for name in gate.phases() if name in phases]
    empty = next((phase for phase in known if not phase.intervals), None)
    if empty is not None:
        checked.problems.append(
            Diagnostic(
                named.path,
                f"the plan leaves `{empty.name}` empty, so nothing could be judged",
                suggest_length(made, empty, _needed_ms(made, gate) or BASELINE_JUDGED_MS),
            )
        )
        return
    if needed_ms:
        checked.problems += _load_after(made, phases[gate.phase], named, needed_ms)
    checked.problems += named.diagnostics(gate.window_diagnostics(_windows(made, plan, phases)))
    before = len(checked.problems)
    _enough_moments(made, plan, known, named, checked)
    if plan.load.schedule is not None and len(checked.problems) == before:
        checked.problems += _enough_arrivals(made, plan.load.schedule, known, named)


def _needed_ms(made: CheckedScenario, gate: Gate) -> float:
    """How long a window must be for the gate to decide in comfort, whatever arrives in it; 0: of any length."""
    verdict = made.scenario.verdict
    moments_ms = gate.moments(verdict.confidence) * verdict.clump_ms * COMFORT / verdict.runs
    return max(moments_ms, gate.window_needed_ms())


def _windows(made: CheckedScenario, plan: Plan, phases: dict[str, Phase]) -> ScenarioWindows:
    """What a gate may know of the planned windows."""
    return ScenarioWindows(
        lengths_ms={phase.name: phase.seconds * 1000 for phase in phases.values()},
        faults=tuple(
            FirstWindow(
                fault.name,
                fault.upstreams,
                plan.load.warmup_ms + fault.windows[0].apply_ms,
                fault.windows[0].remove_ms - fault.windows[0].apply_ms,
            )
            for fault in plan.faults
        ),
        suggest_longer=lambda phase, short_ms: suggest_longer(made, phases[phase], short_ms),
    )


def _overlap_before(plan: Plan, phase: str) -> str:
    """Why what follows a fault could not be told from what another one leaves behind; empty where it could."""
    mine = next((fault for fault in plan.faults if f"after {fault.name}" == phase), None)
    for other in plan.faults if mine else ():
        assert mine is not None
        if other.name != mine.name and overlap(mine, other):
            return f"`{mine.name}` and `{other.name}` overlap, so a recovery from one could not be told from the other"
    return ""


def _load_after(made: CheckedScenario, phase: Phase, named: LocatedGate, needed_ms: float) -> Iterator[Diagnostic]:
    if phase.seconds * 1000 < needed_ms - ROUNDING_MS:
        fault = phase.name.removeprefix("after ")
        yield Diagnostic(
            named.path,
            f"after `{fault}` the load goes on for {duration_literal(phase.seconds * 1000)}; "
            f"to decide, this gate needs {round_up(needed_ms)}",
            f"write load.recovery: {round_up(needed_ms)}"
            if made.scenario.load.rate_per_s
            else suggest_length(made, phase, needed_ms),
        )


def _enough_moments(
    made: CheckedScenario, plan: Plan, known: Sequence[Phase], named: LocatedGate, checked: Diagnostics
) -> None:
    """A fix asks for comfort and for arrivals at once, so that no second refusal of the same gate follows it."""
    verdict = made.scenario.verdict
    moments = named.gate.moments(verdict.confidence)
    for phase in known if moments else ():
        has_ms = phase.seconds * 1000 * verdict.runs
        needed_ms = moments * verdict.clump_ms
        if has_ms >= needed_ms * COMFORT:
            continue
        clump_ms = math.floor(has_ms / (moments * COMFORT))
        clump = duration_literal(clump_ms) if clump_ms >= 1 else ""
        others = f", or `clump: {clump}` where slow spells are that short" if clump else ""
        window = f"the window `{phase.name}` of `{named.gate.text}` is {duration_literal(phase.seconds * 1000)} long"
        wanted_ms = max(needed_ms * COMFORT, _arrivals_needed_ms(made, plan, phase, named.gate) * verdict.runs)
        fix = suggest_longer(made, phase, (wanted_ms - has_ms) / verdict.runs)
        if has_ms < needed_ms:
            checked.problems.append(
                Diagnostic(
                    named.path,
                    f"{window}; a PASS needs {round_up(needed_ms)}, {moments} clumps of "
                    f"{duration_literal(verdict.clump_ms)}",
                    fix + others,
                )
            )
        else:
            message = f"{window}; that decides only if next to nothing is slow"
            checked.warnings.append(Diagnostic(named.path, message, fix))


def _arrivals_needed_ms(made: CheckedScenario, plan: Plan, phase: Phase, gate: Gate) -> float:
    """How long the phase must be, at the rate that it has, for a PASS to be possible; 0 where none is planned."""
    if plan.load.schedule is None or not phase.seconds:
        return 0.0
    per_ms = expected_arrivals(plan.load.schedule, phase) / (phase.seconds * 1000)
    per_ms *= request_share(made.scenario.load, gate) * made.scenario.verdict.runs
    return gate.moments(made.scenario.verdict.confidence) / per_ms if per_ms else 0.0


def _enough_arrivals(
    made: CheckedScenario, schedule: Schedule, known: Sequence[Phase], named: LocatedGate
) -> Iterator[Diagnostic]:
    moments = named.gate.moments(made.scenario.verdict.confidence)
    share = request_share(made.scenario.load, named.gate)
    for phase in known:
        arrivals = expected_arrivals(schedule, phase) * share
        # what is drawn at random may fall short of its mean; half a per cent is left to that
        if moments and arrivals * made.scenario.verdict.runs < moments * 0.995:
            rate = math.ceil(moments / max(share * phase.seconds * made.scenario.verdict.runs, 1e-9))
            yield Diagnostic(
                named.path,
                f"`{named.gate.text}` sees about {arrivals:.0f} arrivals in `{phase.name}`, and a PASS needs {moments}",
                f"raise the rate to {rate}/s there, or make the window longer",
            )
