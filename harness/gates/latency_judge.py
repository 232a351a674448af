"""How a latency gate decides, and the quantile with its bounds that a person is shown.

The bounds are order statistics at the same deflation as the verdict, so that they agree with it: PASS
exactly where `high` is below the limit, FAIL exactly where `low` is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence import NEVER, Evidence, Pool, Window
from harness.evidence.backend_time import call_waits_ns, joined_share
from harness.gates.exceedance import (
    JOINED_LEAST,
    InconclusiveReason,
    Population,
    decide_share,
    describe,
    describe_stopped,
    guard_too_short,
    rule_of,
)
from harness.gates.gate import Finding
from harness.gates.quantiles import Bounds, quantile_bounds
from harness.gates.reference_baseline import read_main
from harness.statistics import Counts, Decision, Rule, decide, nearest_rank
from harness.units import NS_PER_MS, format_duration

if TYPE_CHECKING:
    from harness.gates.latency import LatencyGate


CUT_OFF_LEAST: Final = 0.9
"""Of a timeout: a request that failed after so much of it was cut off by it, one that failed sooner was not."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a PASS and a FAIL are measured against (they differ for a ratio), and what is shown."""

    pass_ms: float
    fail_ms: float
    shown_ms: float
    error_shared: bool = False
    """Half of the allowed error was spent on the quantile compared with."""


@dataclass(frozen=True, slots=True)
class _Measurement:
    latencies: list[NDArray[np.int64]]
    """One array a run."""
    limits: _Limits
    rule: Rule


def judge(gate: LatencyGate, pool: Pool, alpha_fail: float) -> Finding:
    limits = _limits(gate, pool)
    if isinstance(limits, InconclusiveReason):
        return _undecided(limits.reason, None)
    if gate.phase == "baseline" and (reason := guard_too_short(pool)):
        return _undecided(reason, limits.shown_ms)
    rule = rule_of(pool.plan, gate.p0, alpha_fail)
    if limits.error_shared:
        rule = replace(rule, alpha=rule.alpha / 2, alpha_fail=rule.alpha_fail / 2)
    latencies = _latencies(gate, pool)
    if isinstance(latencies, InconclusiveReason):
        return _undecided(latencies.reason, limits.shown_ms)
    measured = _Measurement(latencies, limits, rule)
    return _told(gate, pool, measured, _decide(gate, pool, measured))


def _decide(gate: LatencyGate, pool: Pool, measured: _Measurement) -> Decision | InconclusiveReason:
    """FAIL by the one limit, else PASS or not by the other."""
    limits = measured.limits
    failed = _decide_at(gate, pool, measured, limits.fail_ms)
    if limits.fail_ms == limits.pass_ms or isinstance(failed, InconclusiveReason) or failed.verdict == "fail":
        return failed
    passed = _decide_at(gate, pool, measured, limits.pass_ms)
    if isinstance(passed, Decision) and passed.verdict == "fail":
        # surely above the baseline's lower bound is not yet surely above the baseline
        return replace(passed, verdict="inconclusive", reason="above_not_surely")
    return passed


def _decide_at(gate: LatencyGate, pool: Pool, measured: _Measurement, limit_ms: float) -> Decision | InconclusiveReason:
    limit_ns = round(limit_ms * NS_PER_MS)
    if gate.upstream is None:
        return decide_share(
            pool, _population(gate, limit_ns), lambda _, window: exceeds(window.latency_ns, limit_ns), measured.rule
        )
    windows = _population(gate).windows(pool)
    if any(window.cut for window in windows):
        return describe_stopped(pool)
    tally = Counts.of(*(exceeds(own, limit_ns) for own in measured.latencies))
    return decide(tally, sum(window.seconds for window in windows), measured.rule)


def exceeds(latency_ns: NDArray[np.int64], limit_ns: int) -> NDArray[np.bool_]:
    """`p99 < T` is strict, so a request of exactly T is one too slow."""
    slow: NDArray[np.bool_] = latency_ns >= limit_ns
    return slow


def _population(gate: LatencyGate, held_ns: int | None = None) -> Population:
    # later requests of an arrival count only where the gate names one
    return Population(gate.phase, gate.request, gate.request is not None, gate.ok_only, held_ns)


def _latencies(gate: LatencyGate, pool: Pool) -> list[NDArray[np.int64]] | InconclusiveReason:
    """One array a run, in order of intended time."""
    windows = _population(gate).windows(pool)
    if gate.upstream is None:
        return [window.latency_ns for window in windows]
    if any((joined_share(run) or 0.0) < JOINED_LEAST for run in pool.runs):
        return InconclusiveReason("too few backend calls can be tied to a request (the service drops both headers)")
    return [_call_latency_ns(run, w, gate.upstream, gate.ok_only) for run, w in zip(pool.runs, windows, strict=True)]


def _call_latency_ns(run: Evidence, window: Window, upstream: str, ok_only: bool) -> NDArray[np.int64]:
    """Of the calls to one upstream that this window's requests made; NEVER unless the backend answered 2xx or 3xx."""
    index = run.plan.upstream(upstream).index
    inside = np.zeros(len(run.samples) + 1, np.bool_)  # the last entry is for calls of no request of ours
    inside[window.index] = True
    chosen = np.flatnonzero((run.calls["upstream"] == index) & inside[run.call_arrivals])
    chosen = chosen[np.argsort(run.call_arrivals[chosen], kind="stable")]
    waits_ns = call_waits_ns(run, index, chosen)
    status = run.calls["status"][chosen]
    ok = (status >= 200) & (status < 400)
    return waits_ns[ok] if ok_only else np.where(ok, waits_ns, NEVER)


def _limits(gate: LatencyGate, pool: Pool) -> _Limits | InconclusiveReason:
    limit_ms = gate.latency_limit_ms(pool.plan.gateway.timeout_ms)
    if limit_ms is not None:
        return _Limits(limit_ms, limit_ms, limit_ms)
    factor = gate.limit.factor
    if factor is None:
        return InconclusiveReason("there is no gateway, so `gateway.timeout` is not known")
    if gate.limit.of == "baseline":
        reference = _baseline(gate, pool)
    else:
        run_dir = pool.runs[0].run_dir
        reference = read_main(run_dir, metric=gate.metric, request=gate.request, phase=gate.phase)
    if isinstance(reference, str):
        return InconclusiveReason(reference)
    if reference.low_ms is None or reference.high_ms is None or reference.observed_ms is None:
        return InconclusiveReason(f"the {gate.limit.of}'s own {gate.metric} is not known surely enough to compare with")
    return _Limits(
        factor * reference.low_ms, factor * reference.high_ms, factor * reference.observed_ms, error_shared=True
    )


def _baseline(gate: LatencyGate, pool: Pool) -> Bounds | str:
    if reason := guard_too_short(pool):
        return reason
    bounds = bounds_of(replace(gate, phase="baseline"), pool)
    return bounds.reason if isinstance(bounds, InconclusiveReason) else bounds


def bounds_of(gate: LatencyGate, pool: Pool) -> Bounds | InconclusiveReason:
    """The gate's own quantile, whatever its limit, with bounds at half the allowed error on each side."""
    windows = _population(gate).windows(pool)
    if any(window.cut for window in windows):
        return describe_stopped(pool)
    latencies = _latencies(gate, pool)
    if isinstance(latencies, InconclusiveReason):
        return latencies
    alpha = round(1 - pool.plan.verdict.confidence, 9) / 2
    rule = Rule(gate.p0, pool.plan.verdict.clump_ms / 1000, alpha, alpha)
    return quantile_bounds(latencies, sum(window.seconds for window in windows), rule)


def _told(gate: LatencyGate, pool: Pool, measured: _Measurement, decision: Decision | InconclusiveReason) -> Finding:
    limits = measured.limits
    seconds = sum(window.seconds for window in _population(gate).windows(pool))
    limit_ns = round(limits.fail_ms * NS_PER_MS)
    bounds = quantile_bounds(measured.latencies, seconds, measured.rule, at_ns=limit_ns)
    infinite = bool(bounds.n) and bounds.observed_ms is None
    cap_ms = censored_at_ms(gate, pool) if infinite else None
    failed_at_rank = infinite and cap_ms is None
    if isinstance(decision, InconclusiveReason):
        finding = _undecided(decision.reason, limits.shown_ms)
        return replace(
            finding, observed=bounds.observed_ms, censored_at_ms=cap_ms, failed_at_rank=failed_at_rank, n=bounds.n
        )
    failed = "" if gate.ok_only else " or failed"
    bad = f"took {format_duration(limits.shown_ms)} or longer{failed}"
    return Finding(
        verdict=decision.verdict,
        reason=describe(decision, bad, gate.p0, whose="calls" if gate.upstream else "requests"),
        limit=limits.shown_ms,
        unit="ms",
        op="<",
        observed=bounds.observed_ms,
        low=bounds.low_ms,
        high=bounds.high_ms,
        censored_at_ms=cap_ms,
        failed_at_rank=failed_at_rank,
        n=decision.n,
        exceeded=decision.k,
        deflation=decision.deflation,
        withstands_ms=None if decision.withstands_s is None else decision.withstands_s * 1000,
    )


def censored_at_ms(gate: LatencyGate, pool: Pool) -> float | None:
    """Where a quantile that fell on a failure was cut off; None where that request failed long before any timeout."""
    plan = pool.plan
    cap_ms = plan.load.client_cap_ms if plan.gateway.timeout_ms is None else plan.gateway.timeout_ms
    if gate.upstream is not None:
        return cap_ms  # of a call nobody knows how long its caller waited for it
    waited_ns = [w.samples["done_ns"] - w.samples["intended_ns"] for w in _population(gate).windows(pool)]
    (at_rank,) = nearest_rank(np.concatenate(waited_ns), [gate.quantile])
    return cap_ms if at_rank >= CUT_OFF_LEAST * cap_ms * NS_PER_MS else None


def _undecided(reason: str, limit_ms: float | None) -> Finding:
    return Finding("inconclusive", reason, limit_ms, "ms", "<")
