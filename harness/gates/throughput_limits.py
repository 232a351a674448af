"""What `throughput > 0.8x main` is compared with, and the rate of successes that a run leaves for a later one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from harness.evidence import Pool
from harness.gates.exceedance import InconclusiveReason, Population
from harness.gates.reference.baseline_file import SuccessRate
from harness.gates.reference.limits import Limits
from harness.gates.reference.main import main_rate
from harness.gates.throughput import success_batches
from harness.rundir.finding_kind import FindingKind
from harness.rundir.phases import planned_phases
from harness.rundir.plan import Plan
from harness.statistics import mean_bounds
from scenarios.load import rate_at

if TYPE_CHECKING:
    from harness.gates.throughput import ThroughputGate

_POINTS: Final = 200
"""At so many moments of a phase the planned rate is looked up for its mean."""
_EQUAL: Final = 1e-3
"""Planned rates that differ by a smaller share are equal: the ends of a phase are rounded."""


def limits_of(gate: ThroughputGate, pool: Pool) -> Limits | InconclusiveReason:
    """The gate's limits in requests per second: for a PASS from main's upper bound, for a FAIL from its lower one."""
    if gate.factor is None:
        assert gate.limit_per_s is not None, "a gate has a limit or a factor"
        return Limits.exactly(gate.limit_per_s)
    main = main_rate(pool.runs[0], request=gate.request, phase=gate.phase)
    if isinstance(main, InconclusiveReason):
        return main
    if difference := other_rate(pool.plan, main):
        return InconclusiveReason(FindingKind.MAIN_UNLIKE, difference)
    return Limits(
        gate.factor * main.high_per_s,
        gate.factor * main.low_per_s,
        gate.factor * main.observed_per_s,
        error_shared=True,
    )


def other_rate(plan: Plan, main: SuccessRate) -> str:
    """Why the plan's rate is not that of main; empty if it is."""
    own = planned_rate(plan, main.request, main.phase)
    if own is None or main.planned_per_s is None:
        return "the throughput of two runs is compared only where both have a planned rate, which `users` have not"
    if abs(own - main.planned_per_s) <= _EQUAL * max(own, main.planned_per_s):
        return ""
    where = "of the whole run" if main.phase == "whole" else f"of the phase {main.phase}"
    return f"the planned rate {where} is {own:.4g}/s, and that of main {main.planned_per_s:.4g}/s; both must be equal"


def planned_rate(plan: Plan, request: str | None, phase: str) -> float | None:
    """The mean planned rate of a request (None: of all) in a phase, per second; None in the closed model.

    For a request of a locustfile it is the rate of all arrivals, since which requests they send is not planned.
    """
    streams, places = plan.load.streams, plan.load.places((request,) if request else ())
    planned = next((each for each in planned_phases(plan) if each.name == phase), None)
    if not streams or planned is None or not planned.intervals:
        return None
    moments = [
        (end - start, start + (end - start) * (point + 0.5) / _POINTS)
        for start, end in planned.intervals
        for point in range(_POINTS)
    ]
    length = sum(width for width, _ in moments)
    return (
        sum(
            stream.share(places) * width * rate_at(stream.schedule, at_ms)
            for stream in streams
            for width, at_ms in moments
        )
        / length
    )


def own_rate(pool: Pool, request: str | None, phase: str) -> SuccessRate | None:
    """The requests that ended ok per second; None if no request arrived, or if the phase was cut short."""
    windows = Population(phase, request, every_part=True).windows(pool)
    if not any(len(window.samples) for window in windows) or any(window.cut for window in windows):
        return None
    batches = [success_batches(run, window) for run, window in zip(pool.runs, windows, strict=True)]
    sums, seconds = (np.concatenate([batch[part] for batch in batches]) for part in (0, 1))
    if seconds.sum() <= 0:
        return None
    low, high = mean_bounds(sums, seconds, round(1 - pool.plan.verdict.confidence, 9) / 2, spells_add=False)
    return SuccessRate(
        request=request,
        phase=phase,
        planned_per_s=planned_rate(pool.plan, request, phase),
        observed_per_s=float(sums.sum() / seconds.sum()),
        low_per_s=max(low, 0.0),
        high_per_s=high,
    )
