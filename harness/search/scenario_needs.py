"""What a scenario needs before anything runs: how long each gate takes to be decided, and how long the whole run lasts.

The figures come from the plan alone. Only the time around the load depends on the machine; the caller measures it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from harness.gates.parse import parse_gate
from harness.rundir.phases import Phase, planned_phases
from harness.rundir.searches.planned import GateNeeds, PlannedCell
from harness.scenario.checks.stream_windows import ROUNDING_MS, counted_ms
from harness.scenario.load import dry_plan
from harness.scenario.planning.arrivals import expected_arrivals
from harness.search.decision_times import decision_times

if TYPE_CHECKING:
    from harness.gates import Gate
    from harness.rundir.plan import Plan
    from harness.rundir.planned.load import Schedule
    from harness.scenario.load import LoadedCell, LoadedScenario

LOAD_LEAST_MS: Final = 5_000.0
"""A shorter load than this is not proposed, even for gates that any request decides."""
BASELINE_LEAST_MS: Final = 5_000.0
"""Canaries learn in the baseline what is normal."""
FAULT_LEAST_MS: Final = 5_000.0
"""A fault stands at least this long beyond the time for which it can hold a request."""


def needs_of(loaded: LoadedScenario, around_s: float) -> tuple[PlannedCell, ...]:
    """One entry for each cell. `around_s`: how long a run takes before and after its load."""
    return tuple(_cell(cell, around_s) for cell in loaded.cells)


def _cell(cell: LoadedCell, around_s: float) -> PlannedCell:
    plan, _ = dry_plan(cell.loaded.checked)
    phases = {phase.name: phase for phase in planned_phases(plan)}
    runs = cell.loaded.scenario.verdict.runs
    alpha_fail = round(1 - plan.verdict.confidence, 9) / max(len(plan.gates), 1)
    gates = tuple(_gate(parse_gate(planned.text), plan, phases, alpha_fail, runs) for planned in plan.gates)
    load_s = (plan.load.warmup_ms + plan.load.duration_ms) / 1000
    least_ms = _least_ms(plan, phases, gates)
    least_s = None if least_ms is None else min(load_s, (plan.load.warmup_ms + least_ms) / 1000)
    return PlannedCell(
        name=cell.name,
        runs=runs,
        gates=gates,
        load_s=load_s,
        least_s=least_s,
        notes=tuple(_notes(plan, phases)),
        wall_s=round(runs * (load_s + around_s), 1),
    )


def _gate(gate: Gate, plan: Plan, phases: Mapping[str, Phase], alpha_fail: float, runs: int) -> GateNeeds:
    phase = phases[gate.phase]
    planned_s, rate_per_s = counted_ms(plan, phase, gate) / 1000, None
    if plan.load.streams:
        rate_per_s = expected_arrivals(plan.load, phase, gate.requests()) / planned_s if planned_s else 0.0
    times = decision_times(
        gate,
        rate_per_s=rate_per_s,
        planned_s=planned_s,
        clump_ms=plan.verdict.clump_ms,
        confidence=plan.verdict.confidence,
        alpha_fail=alpha_fail,
        runs=runs,
        is_steady=_is_steady(plan, phase, gate.requests()),
    )
    healthy_s = times.healthy_s
    phases_s = dict.fromkeys(gate.phases(), None if healthy_s is None else healthy_s / runs)
    if healthy_s is not None:
        own_s = max(healthy_s / runs, gate.load_needed_after_ms(rate_per_s or 0.0) / 1000)
        phases_s[gate.phase] = own_s
        times = times.model_copy(update={"healthy_s": runs * own_s})
    every_arrival = plan.load.locustfile is not None and bool(gate.requests())
    return GateNeeds(
        text=gate.text,
        phase=gate.phase,
        planned_s=planned_s,
        rate_per_s=rate_per_s,
        times=times,
        phases_s=phases_s,
        every_arrival=every_arrival,
    )


def _is_steady(plan: Plan, phase: Phase, requests: Sequence[str] = ()) -> bool:
    """Whether these requests (all, if none is named) arrive at one planned rate throughout the phase. True in the
    closed model, which plans none."""
    places = plan.load.places(requests)
    counted = [stream.schedule for stream in plan.load.streams if stream.share(places)]
    return all(_is_constant(schedule, start, end) for schedule in counted for start, end in phase.intervals)


def _is_constant(schedule: Schedule, start_ms: float, end_ms: float) -> bool:
    if schedule.replay_ms is not None:
        return False
    begins_ms, covered_ms, rates = schedule.start_ms, 0.0, set()
    for stage in schedule.stages:
        inside_ms = min(end_ms, begins_ms + stage.duration_ms) - max(start_ms, begins_ms)
        if inside_ms > ROUNDING_MS:
            covered_ms += inside_ms
            rates |= {stage.start_per_s, stage.end_per_s}
        begins_ms += stage.duration_ms
    return len(rates) == 1 and covered_ms >= end_ms - start_ms - ROUNDING_MS


def _notes(plan: Plan, phases: Mapping[str, Phase]) -> Iterator[str]:
    if not plan.load.streams:
        yield (
            "with `users` the rate follows from the answers: the first length holds if enough requests come in it, and "
            "the others are not known before the run"
        )
    if not _is_steady(plan, phases["whole"]):
        yield (
            "the rate of requests changes during the load, so no shortest load is known, nor, where it changes within "
            "a gate's phase, an outage"
        )
    elif _overlap(plan):
        yield "faults overlap, so no shortest load is known"


def _overlap(plan: Plan) -> bool:
    windows = sorted((window.apply_ms, window.remove_ms) for fault in plan.faults for window in fault.windows)
    return any(following[0] < before[1] for before, following in pairwise(windows))


def _least_ms(plan: Plan, phases: Mapping[str, Phase], gates: tuple[GateNeeds, ...]) -> float | None:
    """The shortest load after the warm-up in which every phase is as long as its gates need. None if a gate needs more
    than a day, if faults overlap, since they are not shortened one by one, and if a rate changes, since a shorter load
    then has other rates."""
    if _overlap(plan) or not _is_steady(plan, phases["whole"]):
        return None
    needed_ms: dict[str, float] = {}
    for gate in gates:
        for phase, needed_s in gate.phases_s.items():
            if needed_s is None:
                return None
            needed_ms[phase] = max(needed_ms.get(phase, 0.0), 1000 * needed_s)
    if not plan.faults:
        return max(LOAD_LEAST_MS, *needed_ms.values())
    spare_ms = max(0.0, phases["baseline"].seconds * 1000 - max(BASELINE_LEAST_MS, needed_ms.get("baseline", 0.0)))
    for fault in plan.faults:
        after = f"after {fault.name}"
        spare_ms += max(0.0, phases[after].seconds * 1000 - needed_ms.get(after, 0.0))
        if len(fault.windows) == 1:  # a fault that repeats is as long as its repetitions
            least_ms = max(FAULT_LEAST_MS, needed_ms.get(fault.name, 0.0))
            spare_ms += max(0.0, phases[fault.name].seconds * 1000 - least_ms)
    return max(plan.load.duration_ms - spare_ms, needed_ms.get("whole", 0.0))
