"""What a scenario needs before anything runs: how long each gate takes to be decided, and how long the whole run lasts.

The figures come from the plan alone. Only the time around the load depends on the machine; the caller measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from harness.gates.parse import parse_gate
from harness.rundir.phases import Phase, planned_phases
from harness.scenario.checks.stream_windows import counted_ms
from harness.scenario.load import dry_plan
from harness.scenario.planning.arrivals import expected_arrivals
from harness.search.decision_times import DecisionTimes, decision_times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.gates import Gate
    from harness.rundir.plan import Plan
    from harness.scenario.load import LoadedCell, LoadedScenario

MANY_PER_S: Final = 10_000.0
"""Assumed where no rate is planned: requests are never what is missing then; moments are."""
BASELINE_LEAST_MS: Final = 5_000.0
"""Canaries learn in the baseline what is normal."""
FAULT_LEAST_MS: Final = 5_000.0
"""A fault stands at least this long beyond the time for which it can hold a request."""


@dataclass(frozen=True, slots=True)
class GateNeeds:
    """A gate and the lengths of its phase that decide it. `planned_s`: how long requests that it counts can arrive in
    the phase of one run. `rate_per_s`: of these requests in that time; None in the closed model, where it depends on
    the answers."""

    text: str
    phase: str
    planned_s: float
    rate_per_s: float | None
    times: DecisionTimes
    every_arrival: bool = False
    """The rate is that of the whole load, as if every arrival sent what the gate counts: which requests a locustfile
    sends is not known before it runs."""


@dataclass(frozen=True, slots=True)
class CellNeeds:
    """A cell, or the scenario where there is no matrix. `load_s`: warm-up and load of one run. `least_s`: the shortest
    such load whose windows can still pass every gate; None if faults overlap, since they are not shortened one by one.
    """

    name: str | None
    runs: int
    gates: tuple[GateNeeds, ...]
    load_s: float
    least_s: float | None

    def wall_s(self, around_s: float) -> float:
        """The wall clock time of all runs, each with `around_s` before and after its load."""
        return self.runs * (self.load_s + around_s)


def needs_of(loaded: LoadedScenario) -> list[CellNeeds]:
    """One entry for each cell."""
    return [_cell(cell) for cell in loaded.cells]


def _cell(cell: LoadedCell) -> CellNeeds:
    plan, _ = dry_plan(cell.loaded.checked)
    phases = {phase.name: phase for phase in planned_phases(plan)}
    alpha_fail = round(1 - plan.verdict.confidence, 9) / max(len(plan.gates), 1)
    gates = tuple(_gate(parse_gate(planned.text), plan, phases, alpha_fail) for planned in plan.gates)
    runs = cell.loaded.scenario.verdict.runs
    load_s = (plan.load.warmup_ms + plan.load.duration_ms) / 1000
    least_ms = _least_ms(plan, phases, gates, runs)
    least_s = None if least_ms is None else min(load_s, (plan.load.warmup_ms + least_ms) / 1000)
    return CellNeeds(cell.name, runs, gates, load_s, least_s)


def _gate(gate: Gate, plan: Plan, phases: Mapping[str, Phase], alpha_fail: float) -> GateNeeds:
    phase = phases[gate.phase]
    planned_s, rate_per_s = counted_ms(plan, phase, gate) / 1000, None
    if plan.load.streams:
        rate_per_s = expected_arrivals(plan.load, phase, gate.requests()) / planned_s if planned_s else 0.0
    times = decision_times(
        gate,
        rate_per_s=MANY_PER_S if rate_per_s is None else rate_per_s,
        planned_s=planned_s,
        clump_ms=plan.verdict.clump_ms,
        confidence=plan.verdict.confidence,
        alpha_fail=alpha_fail,
    )
    after_s = gate.load_needed_after_ms(rate_per_s or 0.0) / 1000
    if times.healthy_s is not None and after_s > times.healthy_s:
        times = DecisionTimes(after_s, times.outage_s, times.half_s, times.twice_s)
    every_arrival = plan.load.locustfile is not None and bool(gate.requests())
    return GateNeeds(gate.text, gate.phase, planned_s, rate_per_s, times, every_arrival)


def _least_ms(plan: Plan, phases: Mapping[str, Phase], gates: tuple[GateNeeds, ...], runs: int) -> float | None:
    """The shortest load after the warm-up in which every phase is as long as its gates need; None if faults overlap."""
    windows = sorted(window for fault in plan.faults for window in ((w.apply_ms, w.remove_ms) for w in fault.windows))
    if any(following[0] < before[1] for before, following in pairwise(windows)):
        return None
    needed_ms: dict[str, float] = {}
    for gate in gates:
        healthy_s = gate.times.healthy_s
        if healthy_s is None:
            continue
        with_gaps = phases[gate.phase].seconds / gate.planned_s if gate.planned_s else 1.0
        needed_ms[gate.phase] = max(needed_ms.get(gate.phase, 0.0), 1000 * healthy_s * with_gaps / runs)
    spare_ms = 0.0
    if plan.faults:
        least_ms = max(BASELINE_LEAST_MS, needed_ms.get("baseline", 0.0))
        spare_ms += max(0.0, phases["baseline"].seconds * 1000 - least_ms)
    for fault in plan.faults:
        after = f"after {fault.name}"
        spare_ms += max(0.0, phases[after].seconds * 1000 - needed_ms.get(after, 0.0))
    for fault in plan.faults:
        if len(fault.windows) == 1:  # a fault that repeats is as long as its repetitions
            least_ms = max(FAULT_LEAST_MS, needed_ms.get(fault.name, 0.0))
            spare_ms += max(0.0, phases[fault.name].seconds * 1000 - least_ms)
    if not plan.faults:
        return max(needed_ms.values(), default=plan.load.duration_ms)
    return max(plan.load.duration_ms - spare_ms, needed_ms.get("whole", 0.0))
