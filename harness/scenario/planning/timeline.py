"""When everything happens: warm-up, baseline, fault windows, recovery and end, in ms from t = 0. Pure.

Faults without `at` follow one another: the first begins after baseline + guard, each next one after recovery + guard,
and the duration follows from them. Otherwise each fault has its `at`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.gates import Gate
from harness.rundir.planned.fault import FaultWindow
from harness.rundir.planned.load import Schedule, Stage
from harness.scenario.schema.requests import Request, StagePart
from harness.scenario.schema.scenario import Load, Scenario
from harness.scenario.source.diagnostics import Diagnostic
from harness.units import duration_literal

CAP_BEYOND_GATEWAY_MS = 5_000.0
CAP_WITHOUT_GATEWAY_MS = 60_000.0
GUARD_MOST_MS = 5_000.0
DRAIN_BEYOND_CAP_MS = 1_000.0
BASELINE_MS = 30_000.0
BASELINE_JUDGED_MS = 60_000.0
RECOVERY_MS = 20_000.0
DURATION_MS = 60_000.0
WINDOWS_MAX = 1_000
COMFORT = 500 / 299
"""A window that is longer by this factor than the shortest one that can decide gets no warning."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The lengths of the phases and the windows of the faults. `client_cap_ms`: how long the load generator waits for
    an answer."""

    warmup_ms: float
    baseline_ms: float
    guard_ms: float
    recovery_ms: float
    duration_ms: float
    client_cap_ms: float
    drain_ms: float
    windows: tuple[tuple[FaultWindow, ...], ...]
    """The windows of each fault, in the scenario's order."""


def compute_timeline(
    scenario: Scenario, gates: Sequence[Gate], replay_ms: Sequence[float] | None
) -> tuple[Timeline | None, list[Diagnostic]]:
    """The timeline, or None with the diagnostics that forbid one. With some diagnostics it can still be used."""
    load, deadline_ms = scenario.load, scenario.gateway.deadline_ms
    findings: list[Diagnostic] = []
    cap_ms = load.timeout_ms or (deadline_ms + CAP_BEYOND_GATEWAY_MS if deadline_ms else CAP_WITHOUT_GATEWAY_MS)
    guard_ms = load.guard_ms if load.guard_ms is not None else min(GUARD_MOST_MS, deadline_ms or GUARD_MOST_MS)
    drain_ms = load.drain_ms if load.drain_ms is not None else cap_ms + DRAIN_BEYOND_CAP_MS
    if drain_ms > cap_ms + DRAIN_BEYOND_CAP_MS:
        most = duration_literal(cap_ms + DRAIN_BEYOND_CAP_MS)
        findings.append(
            Diagnostic(("load", "drain"), f"nothing is open {most} after the end: the load generator gives up before",
                    f"write at most {most}, or leave it out")
        )  # fmt: skip
    baseline_ms = load.baseline_ms
    if baseline_ms is None:
        baseline_ms = _baseline_needed_ms(scenario, gates)
    recovery_ms = load.recovery_ms if load.recovery_ms is not None else _recovery_needed_ms(scenario, gates)
    placed = _Placement(scenario, baseline_ms, guard_ms, recovery_ms, _own_duration_ms(load, replay_ms))
    windows = placed.windows()
    findings += placed.findings
    if windows is None:
        return None, findings
    duration_ms = placed.duration_ms(windows)
    timeline = Timeline(load.warmup_ms, baseline_ms, guard_ms, recovery_ms, duration_ms, cap_ms, drain_ms, windows)
    return timeline, findings


def schedule_of(load: Load, timeline: Timeline, replay_ms: tuple[float, ...] | None) -> Schedule | None:
    """When the requests arrive that share the rate of the load, including the warm-up; None if there is no such rate:
    in the closed model, and where each request has a rate of its own."""
    if replay_ms is not None:
        # the recording begins with the warm-up
        start_ms = -timeline.warmup_ms
        return Schedule(start_ms=start_ms, replay_ms=tuple(at_ms + start_ms for at_ms in replay_ms))
    return own_schedule(load, load, timeline)


def own_schedule(part: Load | Request, load: Load, timeline: Timeline) -> Schedule | None:
    """The schedule of a load's or a request's own `rate` or `stages`, including the warm-up; None if it has neither.

    The stages of a request may end before the load; nothing of it arrives from then on.
    """
    if part.rate_per_s is not None:
        whole_ms = timeline.warmup_ms + timeline.duration_ms
        stages = [Stage(start_per_s=part.rate_per_s, end_per_s=part.rate_per_s, duration_ms=whole_ms)]
    elif part.stages:
        stages = _stages(part.stages, timeline.warmup_ms)
    else:
        return None
    return Schedule(start_ms=-timeline.warmup_ms, arrivals=load.arrivals, stages=tuple(stages))


def _stages(parts: Sequence[StagePart], warmup_ms: float) -> list[Stage]:
    first_per_s = parts[0].rate_per_s if parts and parts[0].shape == "step" else 0.0
    stages = []
    if warmup_ms:
        stages.append(Stage(start_per_s=first_per_s, end_per_s=first_per_s, duration_ms=warmup_ms))
    before_per_s = first_per_s
    for part in parts:
        start_per_s = before_per_s if part.shape == "ramp" else part.rate_per_s
        stages.append(Stage(start_per_s=start_per_s, end_per_s=part.rate_per_s, duration_ms=part.for_ms))
        before_per_s = part.rate_per_s
    return stages


def stages_ms(stages: Sequence[StagePart] | None) -> float:
    """How long these stages last together."""
    return sum(stage.for_ms for stage in stages or ())


def _longest_stages_ms(load: Load) -> float:
    """The length of the longest stages that a request has of its own; 0 if none has any."""
    return max((stages_ms(request.stages) for request in load.written_requests), default=0.0)


def _own_duration_ms(load: Load, replay_ms: Sequence[float] | None) -> float | None:
    """How long the load lasts, if the scenario says so itself."""
    if load.is_staged:
        return stages_ms(load.stages) or _longest_stages_ms(load)
    if replay_ms is not None:
        return max(1.0, max(replay_ms, default=0.0) - load.warmup_ms + 1.0)
    return load.duration_ms


def lowest_rate_per_s(load: Load, gate: Gate | None = None) -> float:
    """The lowest rate at which the gate may get requests that it counts (None: at which any arrive); 0 if no rate of
    them is planned (closed model, replay)."""
    parts: list[tuple[Load | Request, float]] = [(load, counted_share(load, gate))]
    parts += [(request, float(_counts(gate, request))) for request in load.written_requests if request.has_own_rate]
    lowest_per_s = sum(share * min(_rates(part)) for part, share in parts)
    if lowest_per_s:
        return lowest_per_s
    # a gap between stages, in which nothing arrives, is no phase to judge
    return sum(share * min((rate for rate in _rates(part) if rate), default=0.0) for part, share in parts)


def _rates(part: Load | Request) -> tuple[float, ...]:
    return tuple(stage.rate_per_s for stage in part.stages) if part.stages else (part.rate_per_s or 0.0,)


def _counts(gate: Gate | None, request: Request) -> bool:
    return gate is None or not gate.requests() or request.name in gate.requests()


def counted_share(load: Load, gate: Gate | None) -> float:
    """The share of the requests without a rate of their own that the gate counts, from 0 to 1."""
    shared = [request for request in load.written_requests if not request.has_own_rate]
    if not shared:  # a locustfile sends them, or there are none
        return 0.0 if load.written_requests else 1.0
    return sum(each.weight for each in shared if _counts(gate, each)) / sum(each.weight for each in shared)


def decided_ms(scenario: Scenario, gate: Gate, *, comfort: float = COMFORT) -> float:
    """How long a window must be for the gate to decide, with as many arrivals at the lowest planned rate; 0: any length
    will do."""
    verdict = scenario.verdict
    moments, per_ms = gate.moments(verdict.confidence), lowest_rate_per_s(scenario.load, gate) / 1000
    arrivals_ms = moments / (per_ms * verdict.runs) if per_ms else 0.0
    return max(moments * verdict.clump_ms * comfort / verdict.runs, gate.window_needed_ms(), arrivals_ms)


def _baseline_needed_ms(scenario: Scenario, gates: Sequence[Gate]) -> float:
    """The baseline that every gate on it needs, in whole seconds."""
    on_it = [gate for gate in gates if "baseline" in gate.phases()]
    needed_ms = max(BASELINE_JUDGED_MS if on_it else BASELINE_MS, *(decided_ms(scenario, gate) for gate in on_it), 0.0)
    return 1000.0 * math.ceil(round(needed_ms / 1000, 6))


def _recovery_needed_ms(scenario: Scenario, gates: Sequence[Gate]) -> float:
    """The recovery that every gate on a phase after a fault needs, rounded up to milliseconds, because the length of a
    phase is compared with it later."""
    needed_ms = RECOVERY_MS
    for gate in gates:
        rate_per_s = lowest_rate_per_s(scenario.load, gate)
        needed_ms = max(needed_ms, gate.load_needed_after_ms(rate_per_s))
        if gate.phase.startswith("after "):
            moments = gate.moments(scenario.verdict.confidence)
            needed_ms = max(needed_ms, moments * scenario.verdict.clump_ms * COMFORT)
            if rate_per_s:
                needed_ms = max(needed_ms, 1000 * moments / (rate_per_s * scenario.verdict.runs))
    return float(math.ceil(needed_ms))


class _Placement:
    """Computes the windows of each fault."""

    def __init__(
        self, scenario: Scenario, baseline_ms: float, guard_ms: float, recovery_ms: float, own_ms: float | None
    ) -> None:
        self._scenario = scenario
        self._baseline_ms = baseline_ms
        self._guard_ms = guard_ms
        self._recovery_ms = recovery_ms
        self._own_ms = own_ms
        self.findings: list[Diagnostic] = []

    def windows(self) -> tuple[tuple[FaultWindow, ...], ...] | None:
        faults = self._scenario.faults
        with_at = [fault.at_ms is not None for fault in faults]
        if any(with_at) and not all(with_at):
            for index, has in enumerate(with_at):
                if not has:
                    self._refuse(
                        (index,), "this fault has no `at` and others have one", "give all of them `at`, or none"
                    )
            return None
        placed = []
        next_ms = self._baseline_ms + self._guard_ms
        for index, fault in enumerate(faults):
            start_ms = fault.at_ms if fault.at_ms is not None else next_ms
            if fault.every_ms is None:
                windows = [FaultWindow(apply_ms=start_ms, remove_ms=start_ms + fault.for_ms)]
            else:
                windows = self._repeated(index, start_ms)
            if windows:
                next_ms = windows[-1].remove_ms + self._recovery_ms + self._guard_ms
            placed.append(tuple(windows))
        if sum(map(len, placed)) > WINDOWS_MAX and not self.findings:
            count = f"{sum(map(len, placed)):,} windows of all faults together are more than {WINDOWS_MAX:,}"
            self._refuse((len(faults) - 1,), count, "write a longer `every`, or make several scenarios of it")
        return tuple(placed) if not self.findings else None

    def _repeated(self, index: int, start_ms: float) -> list[FaultWindow]:
        fault = self._scenario.faults[index]
        every_ms = fault.every_ms or 0.0
        if self._own_ms is None:
            self._refuse((index, "every"), "a fault that repeats needs to know until when", "write load.duration")
            return []
        if fault.at_ms is None and index < len(self._scenario.faults) - 1:
            self._refuse(
                (index, "every"),
                "nothing can follow a fault that repeats",
                "move it to the end, or give all faults `at`",
            )
            return []
        room_ms = self._own_ms - self._recovery_ms - start_ms - fault.for_ms
        count = int(room_ms // every_ms) + 1 if room_ms >= 0 else 0
        if count > WINDOWS_MAX:
            self._refuse((index, "every"), f"{count:,} windows are more than {WINDOWS_MAX:,}", "write a longer `every`")
            return []
        if not count:
            needs = duration_literal(start_ms + fault.for_ms + self._recovery_ms)
            self._refuse(
                (index,), "the load ends before this fault was on once and recovered from", f"let the load last {needs}"
            )
        starts = (start_ms + number * every_ms for number in range(count))
        return [FaultWindow(apply_ms=at_ms, remove_ms=at_ms + fault.for_ms) for at_ms in starts]

    def duration_ms(self, windows: tuple[tuple[FaultWindow, ...], ...]) -> float:
        if self._own_ms is not None:
            return self._own_ms
        last_ms = max((window.remove_ms for each in windows for window in each), default=None)
        needed_ms = last_ms + self._recovery_ms if last_ms is not None else DURATION_MS
        return max(needed_ms, _longest_stages_ms(self._scenario.load))

    def _refuse(self, path: tuple[int | str, ...], message: str, fix: str) -> None:
        self.findings.append(Diagnostic(("faults", *path), message, fix, at_key=True))
