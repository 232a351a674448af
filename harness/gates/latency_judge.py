"""Decides latency gates, and computes the quantile with its bounds that is shown beside the verdict.

The bounds are order statistics at the same design effect (`deflation`) as the verdict, so that they agree with it: a
gate passes exactly if `high` is below the limit, and fails exactly if `low` is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence import NEVER, Evidence, Pool, Window
from harness.evidence.backend_time import call_waits_ns
from harness.evidence.joining.row_table import Places, places_of
from harness.gates.exceedance import (
    JOINED_LEAST,
    InconclusiveReason,
    Population,
    ShareWords,
    bad_endings,
    decide_share,
    describe_stopped,
    finding_of,
    guard_too_short,
    rule_of,
)
from harness.gates.gate import Finding
from harness.gates.quantiles import Bounds, quantile_bounds
from harness.gates.reference.baseline_file import Quantile
from harness.gates.reference.limits import Limits, limits_of
from harness.rundir.finding_kind import FindingKind
from harness.rundir.rows import Outcome
from harness.statistics import Counts, Decision, Rule, decide
from harness.units import NS_PER_MS, format_duration

if TYPE_CHECKING:
    from harness.gates.latency import LatencyGate
    from harness.rundir.results import Ending

Owners = Callable[[Evidence], Places]
"""For each call of a run, the index in its samples of what the call counts for."""


CUT_OFF_LEAST: Final = 0.9
"""A request that failed after this share of a timeout counts as cut off by it; one that failed sooner does not."""


@dataclass(frozen=True, slots=True)
class _Measurement:
    latencies: list[NDArray[np.int64]]
    """One array for each run, in order of intended time."""
    limits: Limits
    rule: Rule


def judge(gate: LatencyGate, pool: Pool, alpha_fail: float) -> Finding:
    """Decide a latency gate. `alpha_fail`: the error that a FAIL may have."""
    limits = limits_of(gate, pool, lambda: _baseline(gate, pool))
    if isinstance(limits, InconclusiveReason):
        return _inconclusive(limits, None)
    if gate.phase == "baseline" and (reason := guard_too_short(pool)):
        return _inconclusive(reason, limits.shown)
    rule = rule_of(pool.plan, gate.p0, alpha_fail)
    if limits.error_shared:
        rule = replace(rule, alpha=rule.alpha / 2, alpha_fail=rule.alpha_fail / 2)
    latencies = _latencies(gate, pool)
    if isinstance(latencies, InconclusiveReason):
        return _inconclusive(latencies, limits.shown)
    measured = _Measurement(latencies, limits, rule)
    return _finding(gate, pool, measured, _decide(gate, pool, measured))


def _decide(gate: LatencyGate, pool: Pool, measured: _Measurement) -> Decision | InconclusiveReason:
    """FAIL if it fails at the limit for that; otherwise the decision at the limit for a PASS."""
    limits = measured.limits
    failed = _decide_at(gate, pool, measured, limits.failing)
    if limits.failing == limits.passing or isinstance(failed, InconclusiveReason) or failed.verdict == "fail":
        return failed
    passed = _decide_at(gate, pool, measured, limits.passing)
    if isinstance(passed, Decision) and passed.verdict == "fail":
        # what is surely above the baseline's lower bound need not be above the baseline itself
        return replace(passed, verdict="inconclusive", reason="above_not_surely")
    return passed


def _decide_at(gate: LatencyGate, pool: Pool, measured: _Measurement, limit_ms: float) -> Decision | InconclusiveReason:
    limit_ns = round(limit_ms * NS_PER_MS)
    if gate.upstream is None:
        return decide_share(
            pool,
            # a request whose body was still coming may have had its first byte in time
            _population(gate, None if gate.first_byte else limit_ns),
            lambda _, window: exceeds(latency_of(gate, window), limit_ns),
            measured.rule,
        )
    windows = _population(gate).windows(pool)
    if any(window.cut for window in windows):
        return describe_stopped(pool)
    counts = Counts.of(*(exceeds(own, limit_ns) for own in measured.latencies))
    return decide(counts, sum(window.seconds for window in windows), measured.rule)


def exceeds(latency_ns: NDArray[np.int64], limit_ns: int) -> NDArray[np.bool_]:
    """Which latencies count against the gate: `p99 < T` is strict, so a request of exactly T does."""
    slow: NDArray[np.bool_] = latency_ns >= limit_ns
    return slow


def latency_of(gate: LatencyGate, window: Window) -> NDArray[np.int64]:
    """The latency in ns of each request, up to the byte that the gate is about; NEVER unless it ended ok."""
    if not gate.first_byte:
        return window.latency_ns
    return np.where(window.ok, window.samples["first_ns"] - window.samples["intended_ns"], NEVER)


def _population(gate: LatencyGate, held_ns: int | None = None) -> Population:
    # the later requests of an arrival count only if the gate names a request
    return Population(gate.phase, gate.request, gate.request is not None, gate.ok_only, held_ns)


def _latencies(gate: LatencyGate, pool: Pool) -> list[NDArray[np.int64]] | InconclusiveReason:
    """One array for each run, in order of intended time; of a gate on an upstream, the latencies of its calls."""
    windows = _population(gate).windows(pool)
    if gate.upstream is None:
        if gate.first_byte and any((window.ok & (window.samples["first_ns"] == 0)).any() for window in windows):
            reason = "when the first byte of an answer came is not in the run's records"
            return InconclusiveReason(FindingKind.NOT_RECORDED, reason)
        return [latency_of(gate, window) for window in windows]
    latencies = call_latencies(gate.upstream, pool, windows, owners(gate.request))
    if isinstance(latencies, InconclusiveReason):
        return latencies
    return [own[own != NEVER] for own in latencies] if gate.ok_only else latencies


def call_latencies(
    upstream: str, pool: Pool, windows: Sequence[Window], owners_of: Owners
) -> list[NDArray[np.int64]] | InconclusiveReason:
    """The latencies in ns of the calls to one upstream that the requests of these windows led to, one array for each
    run; NEVER for a call that failed."""
    if not pool.plan.upstream(upstream).records_calls:
        return InconclusiveReason(FindingKind.NOT_RECORDED, f"the calls to {upstream} are not recorded")
    if any((run.joined_share or 0.0) < JOINED_LEAST for run in pool.runs):
        reason = "too few backend calls can be tied to a request (the service drops both headers)"
        return InconclusiveReason(FindingKind.NOT_JOINED, reason)
    return [
        _call_latency_ns(run, window, upstream, owners_of(run)) for run, window in zip(pool.runs, windows, strict=True)
    ]


def owners(request: str | None) -> Owners:
    """The index of what each call counts for: its request if a gate names one, else its arrival."""
    return lambda run: run.call_arrivals if request is None else run.call_requests


def _call_latency_ns(run: Evidence, window: Window, upstream: str, owners: Places) -> NDArray[np.int64]:
    """The latencies in ns of the calls to one upstream that the requests of this window led to; NEVER for a call that
    the backend did not answer with 2xx or 3xx."""
    index = run.plan.upstream(upstream).index
    inside = np.zeros(len(run.samples) + 1, np.bool_)  # the last entry is for calls that belong to no known request
    inside[window.place] = True
    chosen = places_of((run.calls["upstream"] == index) & inside[owners])
    chosen = chosen[np.argsort(owners[chosen], kind="stable")]
    waits_ns = call_waits_ns(run, index, chosen)
    status = run.calls["status"][chosen]
    ok = (status >= 200) & (status < 400)
    return np.where(ok, waits_ns, NEVER)


def _baseline(gate: LatencyGate, pool: Pool) -> Bounds | InconclusiveReason:
    return guard_too_short(pool) or bounds_of(replace(gate, phase="baseline"), pool)


def bounds_of(gate: LatencyGate, pool: Pool) -> Bounds | InconclusiveReason:
    """The gate's own quantile, regardless of its limit, with each bound at half the allowed error."""
    windows = _population(gate).windows(pool)
    if any(window.cut for window in windows):
        return describe_stopped(pool)
    latencies = _latencies(gate, pool)
    if isinstance(latencies, InconclusiveReason):
        return latencies
    alpha = round(1 - pool.plan.verdict.confidence, 9) / 2
    rule = Rule(gate.p0, pool.plan.verdict.clump_ms / 1000, alpha, alpha)
    return quantile_bounds(latencies, sum(window.seconds for window in windows), rule)


def own_quantile(gate: LatencyGate, pool: Pool) -> Quantile | None:
    """The quantile with which a later run may compare itself; None if it cannot be known, as of a phase cut short."""
    bounds = bounds_of(gate, pool)
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


def _finding(gate: LatencyGate, pool: Pool, measured: _Measurement, decision: Decision | InconclusiveReason) -> Finding:
    limits = measured.limits
    seconds = sum(window.seconds for window in _population(gate).windows(pool))
    limit_ns = round(limits.failing * NS_PER_MS)
    bounds = quantile_bounds(measured.latencies, seconds, measured.rule, at_ns=limit_ns)
    infinite = bool(bounds.n) and bounds.observed_ms is None
    cut_off = cut_off_of(gate, pool) if infinite else None
    if isinstance(decision, InconclusiveReason):
        finding = replace(_inconclusive(decision, limits.shown), n=bounds.n)
    else:
        words = ShareWords(
            did=_did(gate, limits.shown),
            allowed=gate.p0,
            things="calls" if gate.upstream else "requests",
            endings=_endings(gate, pool, limit_ns),
        )
        finding = replace(
            finding_of(decision, words, limit=limits.shown, unit="ms", op="<"),
            low=bounds.low_ms,
            high=bounds.high_ms,
        )
    return replace(
        finding,
        observed=bounds.observed_ms,
        censored_at_ms=cut_off.at_ms if cut_off else None,
        censored_by=cut_off.by if cut_off else None,
        failed_at_rank=infinite and cut_off is None,
    )


def _did(gate: LatencyGate, limit_ms: float) -> str:
    took = f"took {format_duration(limit_ms)} or longer"
    if gate.first_byte:
        return f"{took} to the first byte or failed"
    return took if gate.ok_only else f"{took} or failed"


def _endings(gate: LatencyGate, pool: Pool, limit_ns: int) -> tuple[Ending, ...]:
    """How the requests ended that count against the gate; empty for calls to an upstream, because their rows do not say
    how they ended for the service."""
    if gate.upstream is not None:
        return ()
    return bad_endings(pool, _population(gate), lambda _, window: exceeds(latency_of(gate, window), limit_ns))


@dataclass(frozen=True, slots=True)
class CutOff:
    """The timeout at which a quantile was cut off that falls on a failed request, and the outcome (`gateway_timeout`,
    `client_timeout`, `unfinished`) that cut it off. `by` is None for calls to an upstream, where it is unknown."""

    at_ms: float
    by: str | None


def cut_off_of(gate: LatencyGate, pool: Pool) -> CutOff | None:
    """The timeout that cut off the gate's quantile; None if too few requests were cut off to reach its rank.

    A failure of another kind, and a timeout that was reported early, say nothing about how long the request would have
    taken. So they rank below every request that was cut off.
    """
    plan = pool.plan
    cap_ms = plan.load.client_cap_ms
    gateway_ms = cap_ms if plan.gateway.timeout_ms is None else plan.gateway.timeout_ms
    if gate.upstream is not None:
        return None if _most_calls_failed_with_a_status(gate, gate.upstream, pool) else CutOff(gateway_ms, None)
    rows = [window.samples for window in _population(gate).windows(pool)]
    outcome = np.concatenate([own["outcome"] for own in rows])
    waited_ms = np.concatenate([(own["done_ns"] - own["intended_ns"]) / NS_PER_MS for own in rows])
    cut_off_ms = np.where(outcome == Outcome.UNFINISHED, waited_ms, 0.0)
    for kind, at_ms in ((Outcome.GATEWAY_TIMEOUT, gateway_ms), (Outcome.CLIENT_TIMEOUT, cap_ms)):
        cut_off_ms = np.where((outcome == kind) & (waited_ms >= CUT_OFF_LEAST * at_ms), at_ms, cut_off_ms)
    at_rank = np.argsort(cut_off_ms, kind="stable")[max(0, int(np.ceil(round(gate.quantile * len(outcome), 6))) - 1)]
    found_ms = float(cut_off_ms[at_rank])
    return CutOff(found_ms, Outcome(int(outcome[at_rank])).name.lower()) if found_ms > 0 else None


def _most_calls_failed_with_a_status(gate: LatencyGate, upstream: str, pool: Pool) -> bool:
    """Whether the upstream answered most of the failed calls with an error status, so that no timeout cut them off."""
    statuses = []
    for run, window in zip(pool.runs, _population(gate).windows(pool), strict=True):
        inside = np.zeros(len(run.samples) + 1, np.bool_)
        inside[window.place] = True
        own = run.calls[
            (run.calls["upstream"] == run.plan.upstream(upstream).index) & inside[owners(gate.request)(run)]
        ]
        statuses.append(own["status"])
    status = np.concatenate(statuses)
    answered, unanswered = np.count_nonzero(status >= 400), np.count_nonzero(status < 200)
    return bool(answered > unanswered)


def _inconclusive(why: InconclusiveReason, limit_ms: float | None) -> Finding:
    return Finding("inconclusive", why.reason, limit_ms, "ms", "<", why.kind)
