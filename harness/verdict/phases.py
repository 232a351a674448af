"""The figures of each phase: outcomes, latency by nearest rank, throughput, and the share of complete answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.evidence import NEVER, Pool, Window
from harness.evidence.completeness import asks_any, complete
from harness.evidence.presence import presences
from harness.rundir.phases import Phase
from harness.rundir.results import REQUESTS_MOST, LatencySummary, PhaseResult, PresenceResult, RequestResult
from harness.rundir.rows import Outcome
from harness.statistics import nearest_rank
from harness.units import NS_PER_MS

_QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


def phase_results(pool: Pool) -> tuple[PhaseResult, ...]:
    """Every phase in which requests could arrive, in order; if the load was stopped, those that had begun by then.

    Counts and latencies are those of all runs together. Empty if no load was started.
    """
    run = pool.runs[0]
    if run.manifest.t0_ns is None:
        return ()
    stop_ms = None if run.stop_ns is None else (run.stop_ns - run.t0_ns) / NS_PER_MS
    return tuple(
        _result(pool, phase, stop_ms)
        for phase in run.phases
        if phase.intervals and (stop_ms is None or phase.start_ms < stop_ms)
    )


def _result(pool: Pool, phase: Phase, stop_ms: float | None) -> PhaseResult:
    windows = [run.window(phase.name) for run in pool.runs]
    outcomes = np.sum([np.bincount(w.samples["outcome"], minlength=len(Outcome)) for w in windows], axis=0)
    latency = windows[0].latency_ns if len(windows) == 1 else np.concatenate([w.latency_ns for w in windows])
    n = len(latency)
    ok = int(outcomes[Outcome.OK])
    end_ms = phase.end_ms if stop_ms is None else min(phase.end_ms, stop_ms)
    seconds = sum(window.seconds for window in windows)
    if stop_ms is not None and stop_ms < phase.end_ms:
        seconds = max(end_ms - phase.start_ms, 1.0) / 1000 * len(windows)
    asks = pool.plan.upstreams and pool.plan.load.complete != "none"
    share = _complete_share(pool, windows) if asks else None
    return PhaseResult(
        name=phase.name,
        start_ms=phase.start_ms,
        end_ms=end_ms,
        n=n,
        outcomes={outcome.name.lower(): int(outcomes[outcome]) for outcome in Outcome if outcomes[outcome]},
        no_request=sum(run.silent_in(phase.name) for run in pool.runs),
        latency_ms=_summary(latency) if n else LatencySummary(p50=None, p90=None, p99=None, p99_9=None, max=None),
        throughput_per_s=ok / seconds if seconds > 0 else 0.0,
        complete_share=share,
        present=_present(pool, windows) if asks else (),
        requests=_requests(pool, phase.name),
    )


def _requests(pool: Pool, phase: str) -> tuple[RequestResult, ...]:
    """The figures by name, the most frequent first; those that a locustfile could not name are not among them."""
    windows = [(run, run.window(phase, every_part=True)) for run in pool.runs]
    found: dict[str, list[Window]] = {}
    for run, window in windows:
        requests = run.plan.load.requests
        if len(requests) < 2:
            continue
        for number in np.unique(window.samples["request"]).tolist():
            if not run.is_unnamed(number):
                own = window.only(window.samples["request"] == number)
                found.setdefault(requests[number].name, []).append(own)
    results = []
    for name, of_runs in found.items():
        counts = np.sum([np.bincount(w.samples["outcome"], minlength=len(Outcome)) for w in of_runs], axis=0)
        latency = np.concatenate([w.latency_ns for w in of_runs])
        results.append(
            RequestResult(
                name=name,
                n=len(latency),
                outcomes={outcome.name.lower(): int(counts[outcome]) for outcome in Outcome if counts[outcome]},
                latency_ms=_summary(latency),
            )
        )
    return tuple(sorted(results, key=lambda each: (-each.n, each.name))[:REQUESTS_MOST])


def _complete_share(pool: Pool, windows: Sequence[Window]) -> float | None:
    """Of the requests that ask upstreams; None if there was none."""
    pairs = list(zip(pool.runs, windows, strict=True))
    asking = [(run, window.only(asks_any(run, window))) for run, window in pairs]
    n = sum(len(window.samples) for _, window in asking)
    return sum(int(complete(run, window).sum()) for run, window in asking) / n if n else None


def _present(pool: Pool, windows: Sequence[Window]) -> tuple[PresenceResult, ...]:
    return tuple(
        PresenceResult(
            upstream=each.upstream,
            answers=each.answers,
            share=each.share,
            expected=each.expected,
            missing=each.missing,
        )
        for each in presences(zip(pool.runs, windows, strict=True))
    )


def _summary(latency: np.typing.NDArray[np.int64]) -> LatencySummary:
    values = [None if rank == NEVER else int(rank) / NS_PER_MS for rank in nearest_rank(latency, _QUANTILES)]
    return LatencySummary.model_validate(dict(zip(("p50", "p90", "p99", "p99_9", "max"), values, strict=True)))
