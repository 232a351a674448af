"""Can this plan decide what it is asked? Windows and arrivals, reckoned before anything starts. Pure.

Refuses gates whose window is empty or too short for any PASS (`fault_windows` looks at the faults); warns
where a window decides only if nothing at all goes wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.gates import CostGate, Gate
from harness.phases import Phase, planned_phases
from harness.plan import Plan, Schedule
from harness.scenario.arrivals import expected_arrivals
from harness.scenario.compile import Made
from harness.scenario.fault_windows import fault_findings, overlap, overlap_findings, share_warnings
from harness.scenario.naming_gates import unheard_before
from harness.scenario.problems import Finding
from harness.scenario.references import Named
from harness.scenario.remedies import longer, room, spell_up
from harness.scenario.timeline import BASELINE_JUDGED_MS, COMFORT, lowest_rate_per_s
from harness.units import spell_duration


@dataclass(slots=True)
class Checked:
    problems: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)


def check_windows(made: Made, plan: Plan) -> Checked:
    checked = Checked()
    checked.problems += _load(made)
    checked.warnings += _load_warnings(made)
    short: set[str] = set()
    for index, fault in enumerate(made.scenario.faults):
        planned = next((each for each in plan.faults if each.name == fault.name), None)
        if planned is not None:
            found = list(fault_findings(made, plan, index, fault, planned))
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


def _load(made: Made) -> Iterator[Finding]:
    load = made.scenario.load
    if load.replay is not None and made.inputs.replay_ms and made.inputs.replay_ms[-1] < made.timeline.warmup_ms:
        last = spell_duration(made.inputs.replay_ms[-1])
        yield Finding(("load", "replay"), f"the recording ends at {last}, within the warm-up", "write warmup: 0s")


def _load_warnings(made: Made) -> Iterator[Finding]:
    load = made.scenario.load
    if load.stages and load.stages[0].shape == "ramp" and made.timeline.warmup_ms:
        yield Finding(
            ("load", "stages", 0),
            "the first stage ramps up from 0/s, so the warm-up sends nothing",
            "begin with a step",
        )


# ---------------------------------------------------------------- gates


def _gate(made: Made, plan: Plan, phases: dict[str, Phase], named: Named, checked: Checked) -> None:
    gate = named.gate
    needed_ms = gate.load_needed_after_ms(lowest_rate_per_s(made.scenario.load))
    overlapped = _overlap_before(plan, gate.phase) if needed_ms else ""
    if overlapped:
        checked.problems.append(Finding(named.path, overlapped, "keep the faults apart in time"))
        return
    known = [phases[name] for name in gate.phases() if name in phases]
    empty = next((phase for phase in known if not phase.intervals), None)
    if empty is not None:
        checked.problems.append(
            Finding(
                named.path,
                f"the plan leaves `{empty.name}` empty, so nothing could be judged",
                room(made, empty, _needed_ms(made, gate)),
            )
        )
        return
    if needed_ms:
        checked.problems += _load_after(made, phases[gate.phase], named, needed_ms)
    if isinstance(gate, CostGate):
        checked.problems += _enough_readings(made, known, named, gate)
    checked.problems += [
        Finding(named.path, found.message, found.fix, offset=gate.text.find(found.word))
        for found in unheard_before(plan, gate)
    ]
    before = len(checked.problems)
    _enough_moments(made, known, named, checked)
    if plan.load.schedule is not None and len(checked.problems) == before:
        checked.problems += _enough_arrivals(made, plan, plan.load.schedule, known, named)


def _needed_ms(made: Made, gate: Gate) -> float:
    """How long a window must be at least, whatever arrives in it."""
    verdict = made.scenario.verdict
    moments_ms = gate.moments(verdict.confidence) * verdict.clump_ms / verdict.runs
    readings_ms = gate.window_ms_least if isinstance(gate, CostGate) else 0.0
    return max(moments_ms, readings_ms) or BASELINE_JUDGED_MS


def _overlap_before(plan: Plan, phase: str) -> str:
    """Why what follows a fault could not be told from what another one leaves behind; empty where it could."""
    mine = next((fault for fault in plan.faults if f"after {fault.name}" == phase), None)
    for other in plan.faults if mine else ():
        assert mine is not None
        if other.name != mine.name and overlap(mine, other):
            return f"`{mine.name}` and `{other.name}` overlap, so a recovery from one could not be told from the other"
    return ""


def _load_after(made: Made, phase: Phase, named: Named, needed_ms: float) -> Iterator[Finding]:
    if phase.seconds * 1000 < needed_ms:
        fault = phase.name.removeprefix("after ")
        yield Finding(
            named.path,
            f"after `{fault}` the load goes on for {spell_duration(phase.seconds * 1000)}; "
            f"to decide, this gate needs {spell_up(needed_ms)}",
            f"write load.recovery: {spell_up(needed_ms)}"
            if made.scenario.load.rate_per_s
            else room(made, phase, needed_ms),
        )


def _enough_readings(made: Made, known: Sequence[Phase], named: Named, gate: CostGate) -> Iterator[Finding]:
    needed_ms = gate.window_ms_least
    for phase in known:
        short_ms = needed_ms - phase.seconds * 1000
        # what follows a fault has been looked at as the load it needs
        if short_ms > 0 and not phase.name.startswith("after "):
            yield Finding(
                named.path,
                f"the window `{phase.name}` of `{named.gate.text}` is {spell_duration(phase.seconds * 1000)} long; "
                f"a PASS needs {spell_duration(needed_ms)}, since {gate.pace}",
                longer(made, phase, short_ms),
            )


def _enough_moments(made: Made, known: Sequence[Phase], named: Named, checked: Checked) -> None:
    verdict = made.scenario.verdict
    moments = named.gate.moments(verdict.confidence)
    for phase in known if moments else ():
        has_ms = phase.seconds * 1000 * verdict.runs
        needed_ms = moments * verdict.clump_ms
        if has_ms >= needed_ms * COMFORT:
            continue
        clump = spell_duration(math.floor(has_ms / moments)) if has_ms >= moments else ""
        others = f", or `clump: {clump}` where slow spells are that short" if clump else ""
        window = f"the window `{phase.name}` of `{named.gate.text}` is {spell_duration(phase.seconds * 1000)} long"
        if has_ms < needed_ms:
            short_ms = (needed_ms - has_ms) / verdict.runs
            checked.problems.append(
                Finding(
                    named.path,
                    f"{window}; a PASS needs {spell_up(needed_ms)}, {moments} clumps of "
                    f"{spell_duration(verdict.clump_ms)}",
                    longer(made, phase, short_ms) + others,
                )
            )
        else:
            short_ms = (needed_ms * COMFORT - has_ms) / verdict.runs
            message = f"{window}; that decides only if next to nothing is slow"
            checked.warnings.append(Finding(named.path, message, longer(made, phase, short_ms)))


def _enough_arrivals(
    made: Made, plan: Plan, schedule: Schedule, known: Sequence[Phase], named: Named
) -> Iterator[Finding]:
    moments = named.gate.moments(made.scenario.verdict.confidence)
    weights = {request.name: request.weight for request in plan.load.requests}
    wanted = [weights[name] for name in named.gate.requests() if name in weights]
    share = sum(wanted) / sum(weights.values()) if wanted else 1.0
    for phase in known:
        arrivals = expected_arrivals(schedule, phase) * share
        # what is drawn at random may fall short of its mean; half a per cent is left to that
        if moments and arrivals * made.scenario.verdict.runs < moments * 0.995:
            rate = math.ceil(moments / max(share * phase.seconds * made.scenario.verdict.runs, 1e-9))
            yield Finding(
                named.path,
                f"`{named.gate.text}` sees about {arrivals:.0f} arrivals in `{phase.name}`, and a PASS needs {moments}",
                f"raise the rate to {rate}/s there, or make the window longer",
            )
