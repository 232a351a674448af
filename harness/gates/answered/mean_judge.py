"""Decides gates on the mean and on the largest latency of what ended ok: requests, or the calls to an upstream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.evidence import NEVER, Pool
from harness.gates.answered.mean import LEFT_OUT_MOST
from harness.gates.batch_means import judge_mean
from harness.gates.exceedance import InconclusiveReason, Population, describe_stopped, guard_too_short
from harness.gates.gate import DECIDED, Finding, GateVerdict
from harness.gates.latency_judge import call_latencies, owners
from harness.gates.quantiles import Bounds
from harness.gates.reference.baseline_file import Quantile
from harness.gates.reference.limits import limits_of
from harness.rundir.finding_kind import FindingKind
from harness.statistics import batch_sizes, batch_sums, mean_bounds
from harness.units import NS_PER_MS, format_count, format_duration, format_exact_duration, format_share

if TYPE_CHECKING:
    from harness.gates.answered.largest import LargestGate
    from harness.gates.answered.mean import MeanGate


@dataclass(frozen=True, slots=True)
class _Answered:
    """What ended ok in a phase. `ms`: its latencies in order of intended time, one array for each run."""

    ms: Sequence[NDArray[np.float64]]
    failed: int
    seconds: float
    cut: bool

    @property
    def n(self) -> int:
        return sum(len(own) for own in self.ms)

    @property
    def left_out(self) -> float:
        """The share that failed, from 0 to 1."""
        return self.failed / (self.n + self.failed) if self.n + self.failed else 0.0

    def describe_left_out(self, things: str) -> str:
        """`; 12 of 2,412 requests (0.50 %) failed and are left out`; empty if none did."""
        if not self.failed:
            return ""
        of = f"{format_count(self.failed)} of {format_count(self.n + self.failed)} {things}"
        return f"; {of} ({format_share(self.left_out)}) failed and are left out"


def judge(gate: MeanGate, pool: Pool, alpha_fail: float) -> Finding:
    """Decide a gate on the mean. `alpha_fail`: the error that a FAIL may have."""
    limits = limits_of(gate, pool, lambda: _mean_in_baseline(gate, pool))
    if isinstance(limits, InconclusiveReason):
        return _undecided(limits, None)
    answered = _answered(gate, pool)
    if isinstance(answered, InconclusiveReason):
        return _undecided(answered, limits.shown)
    if answered.cut:
        return _undecided(describe_stopped(pool), limits.shown)
    sums, sizes = _batches(answered)
    finding = judge_mean(
        pool,
        sums,
        sizes,
        n=answered.n,
        seconds=answered.seconds,
        limit=limits,
        below=True,
        unit="ms",
        alpha_fail=alpha_fail,
    )
    left_out = answered.describe_left_out(_things(gate))
    if answered.left_out > LEFT_OUT_MOST:
        reason = f"too many failed for a mean of the others to say something{left_out}"
        return replace(finding, verdict="inconclusive", kind=FindingKind.LEFT_OUT, reason=reason)
    return replace(finding, reason=f"{finding.reason}{left_out}")


def judge_largest(gate: LargestGate, pool: Pool) -> Finding:
    """Decide a gate on the largest latency."""
    limits = limits_of(gate, pool, lambda: _largest_in_baseline(gate, pool))
    if isinstance(limits, InconclusiveReason):
        return _undecided(limits, None)
    answered = _answered(gate, pool)
    if isinstance(answered, InconclusiveReason):
        return _undecided(answered, limits.shown)
    if not answered.n:
        stopped = describe_stopped(pool) if answered.cut else None
        nothing = stopped or InconclusiveReason(FindingKind.NO_ARRIVALS, f"no {_things(gate)} of this phase ended ok")
        return _undecided(nothing, limits.shown)
    ms = np.concatenate(answered.ms)
    largest, exceeded = float(ms.max()), int((ms >= limits.failing).sum())
    verdict: GateVerdict = "fail" if exceeded else "inconclusive" if answered.cut else "pass"
    seen = f"the slowest of {format_count(len(ms))} {_things(gate)} took {format_duration(largest)}"
    reason = f"{seen}, and it must be below {format_exact_duration(limits.shown)}"
    reason += answered.describe_left_out(_things(gate))
    finding = Finding(
        verdict=verdict,
        reason=reason,
        limit=limits.shown,
        unit="ms",
        op="<",
        kind=DECIDED[verdict],
        observed=largest,
        n=len(ms),
        exceeded=exceeded,
        seen=seen,
    )
    if verdict == "inconclusive":
        stopped = describe_stopped(pool)
        return replace(finding, reason=stopped.reason, kind=stopped.kind)
    return finding


def own_mean(gate: MeanGate, pool: Pool) -> Quantile | None:
    """The mean with which a later run may compare itself; None if it is not known."""
    return _own(gate, _mean_bounds(gate, pool))


def own_largest(gate: LargestGate, pool: Pool) -> Quantile | None:
    """The largest latency with which a later run may compare itself; None if it is not known."""
    return _own(gate, _largest(gate, pool))


def _own(gate: MeanGate | LargestGate, bounds: Bounds | InconclusiveReason) -> Quantile | None:
    if isinstance(bounds, InconclusiveReason):
        return None
    return Quantile(
        metric=gate.metric,
        request=gate.request,
        phase=gate.phase,
        n=bounds.n,
        observed_ms=bounds.observed_ms,
        low_ms=bounds.low_ms,
        high_ms=bounds.high_ms,
    )


def _mean_in_baseline(gate: MeanGate, pool: Pool) -> Bounds | InconclusiveReason:
    return _mean_bounds(replace(gate, phase="baseline"), pool)


def _largest_in_baseline(gate: LargestGate, pool: Pool) -> Bounds | InconclusiveReason:
    return _largest(replace(gate, phase="baseline"), pool)


def _mean_bounds(gate: MeanGate, pool: Pool) -> Bounds | InconclusiveReason:
    """The mean with each bound at half the allowed error; unknown where too many failed."""
    answered = _answered(gate, pool)
    if isinstance(answered, InconclusiveReason):
        return answered
    if answered.cut:
        return describe_stopped(pool)
    if not answered.n or answered.left_out > LEFT_OUT_MOST:
        return Bounds(answered.n, None, None, None)
    sums, sizes = _batches(answered)
    low, high = mean_bounds(sums, sizes, round(1 - pool.plan.verdict.confidence, 9) / 2)
    return Bounds(answered.n, float(sums.sum() / sizes.sum()), max(low, 0.0), high)


def _largest(gate: LargestGate, pool: Pool) -> Bounds | InconclusiveReason:
    answered = _answered(gate, pool)
    if isinstance(answered, InconclusiveReason):
        return answered
    if answered.cut:
        return describe_stopped(pool)
    largest = max((float(own.max()) for own in answered.ms if len(own)), default=None)
    return Bounds(answered.n, largest, largest, largest)


def _answered(gate: MeanGate | LargestGate, pool: Pool) -> _Answered | InconclusiveReason:
    if gate.phase == "baseline" and (reason := guard_too_short(pool)):
        return reason
    # the later requests of an arrival count only if the gate names a request
    population = Population(gate.phase, gate.request, gate.request is not None)
    windows = population.windows(pool)
    if gate.upstream is not None:
        latencies = call_latencies(gate.upstream, pool, windows, owners(gate.request))
        if isinstance(latencies, InconclusiveReason):
            return latencies
    else:  # of a stopped run, what ended after the faults were taken back proves nothing
        latencies = [
            window.latency_ns
            if run.cutoff_ns is None
            else window.latency_ns[window.samples["done_ns"] <= run.cutoff_ns]
            for run, window in zip(pool.runs, windows, strict=True)
        ]
    ok = [own[own != NEVER] / NS_PER_MS for own in latencies]
    failed = sum(len(own) for own in latencies) - sum(len(own) for own in ok)
    return _Answered(ok, failed, sum(window.seconds for window in windows), any(window.cut for window in windows))


def _batches(answered: _Answered) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sum of the latencies in ms, and their number, in batches of equal count, run after run."""
    sums = np.concatenate([_float_sums(own) for own in answered.ms])
    return sums, np.concatenate([batch_sizes(len(own)) for own in answered.ms])


def _float_sums(ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """As `batch_sums`, which adds whole numbers, so in microseconds."""
    return batch_sums(np.round(ms * 1000)) / 1000


def _things(gate: MeanGate | LargestGate) -> str:
    return "calls" if gate.upstream else "requests"


def _undecided(why: InconclusiveReason, limit_ms: float | None) -> Finding:
    return Finding("inconclusive", why.reason, limit_ms, "ms", "<", why.kind)
