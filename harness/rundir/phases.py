"""The phases of a run: which arrivals belong to each, by intended time. Pure: it reads no clock and no file.

Before a run the windows are the plan's, afterwards the journal's (applied acknowledged, removal requested). Times are
milliseconds from t = 0; every interval is half open, [start, end).

- `warmup`: t < 0. No gate counts it.
- `baseline`: from t = 0 to the start of the first guard.
- `guard`: `guard_ms` before each window of a fault. A request that begins here may be in flight when the fault begins.
- NAME, one phase for each fault: from its first application to its last removal, less H. H is how long the fault can
  hold a request (`PlannedFault.held_ms`).
- `tail`: the last H of each fault. Its removal releases at once all requests that it still holds.
- `after NAME`: from the last removal of a fault to the next guard, or to the end of the load.
- `whole`: from t = 0 to the end of the load, guards and tails included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.rundir.plan import Plan
from harness.rundir.planned.fault import FaultWindow, PlannedFault

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Phase:
    """`intervals` are in order and do not overlap; a phase the plan leaves empty has none."""

    name: str
    intervals: tuple[Interval, ...]

    @property
    def seconds(self) -> float:
        return sum(end - start for start, end in self.intervals) / 1000

    @property
    def start_ms(self) -> float:
        return self.intervals[0][0] if self.intervals else 0.0

    @property
    def end_ms(self) -> float:
        return self.intervals[-1][1] if self.intervals else 0.0


def planned_phases(plan: Plan) -> tuple[Phase, ...]:
    """The phases as the plan has them, empty ones included."""
    return phases_of(plan, {})


def phases_of(plan: Plan, windows: Mapping[str, Sequence[FaultWindow]], *, unsure_ms: float = 0.0) -> tuple[Phase, ...]:
    """Every phase of a run: warmup, baseline, guard, each fault, tail, after each fault, whole. Faults are in the
    plan's order.

    `unsure_ms`: by how much the times of arrivals may be wrong. Arrivals so close to a border belong to no phase, so
    every interval is shorter by it at both ends, and H, how long a request can be held, is longer by it.

    `windows`: for each fault by name, when its windows were really applied and removed. A fault that is not in it keeps
    the plan's windows.
    """
    exact = _exact_phases(plan, windows, unsure_ms)
    if not unsure_ms:
        return exact
    return tuple(
        _phase(phase.name, [(start + unsure_ms, end - unsure_ms) for start, end in phase.intervals]) for phase in exact
    )


def _exact_phases(plan: Plan, windows: Mapping[str, Sequence[FaultWindow]], unsure_ms: float) -> tuple[Phase, ...]:
    end_ms = plan.load.duration_ms
    known = {fault.name: tuple(windows.get(fault.name) or fault.windows) for fault in plan.faults}
    every = [window for fault in plan.faults for window in known[fault.name]]
    first_guard_ms = min((window.apply_ms - plan.guard_ms for window in every), default=end_ms)
    guards = [(window.apply_ms - plan.guard_ms, window.apply_ms) for window in every]
    held_ms = {fault.name: fault.held_ms + unsure_ms if fault.held_ms else 0.0 for fault in plan.faults}
    tails = [(last.remove_ms - held_ms[fault.name], last.remove_ms) for fault, last in _last(plan.faults, known)]
    return (
        _phase("warmup", [(-plan.load.warmup_ms, 0.0)]),
        _phase("baseline", [(0.0, min(first_guard_ms, end_ms))]),
        _phase("guard", [_within(guard, 0.0, end_ms) for guard in guards]),
        *(
            _phase(
                fault.name,
                [_within((known[fault.name][0].apply_ms, last.remove_ms - held_ms[fault.name]), 0.0, end_ms)],
            )
            for fault, last in _last(plan.faults, known)
        ),
        _phase("tail", [_within(tail, 0.0, end_ms) for tail in tails]),
        *(
            _phase(f"after {fault.name}", [(last.remove_ms, _next_guard_ms(plan, known, fault, last, end_ms))])
            for fault, last in _last(plan.faults, known)
        ),
        _phase("whole", [(0.0, end_ms)]),
    )


def _last(
    faults: Sequence[PlannedFault], known: Mapping[str, Sequence[FaultWindow]]
) -> list[tuple[PlannedFault, FaultWindow]]:
    return [(fault, known[fault.name][-1]) for fault in faults if known[fault.name]]


def _next_guard_ms(
    plan: Plan, known: Mapping[str, Sequence[FaultWindow]], fault: PlannedFault, last: FaultWindow, end_ms: float
) -> float:
    """Where `after FAULT` ends. The phase is empty if another fault is active at the removal: nothing recovers then."""
    return min(
        (
            max(window.apply_ms - plan.guard_ms, last.remove_ms)
            for name, windows in known.items()
            if name != fault.name
            for window in windows
            if window.remove_ms > last.remove_ms
        ),
        default=end_ms,
    )


def _within(interval: Interval, least: float, most: float) -> Interval:
    return max(interval[0], least), min(interval[1], most)


def _phase(name: str, intervals: Sequence[Interval]) -> Phase:
    """Sorted, empty ones left out, overlapping ones joined."""
    joined: list[Interval] = []
    for start, end in sorted(interval for interval in intervals if interval[1] > interval[0]):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return Phase(name, tuple(joined))
