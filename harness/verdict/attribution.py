"""Which upstream made slow requests slow: for each phase and upstream its calls, their waits, and the wait it caused.

Every request counts, so that of an arrival with several the one that was slow is explained by its own calls. Its wait
for an upstream is the sum over its calls to it, so that the figures are right for services that ask one upstream after
the other too. The delay of a fault counts as the upstream's own, since a backend behind a toxic
does not see it. If too few calls can be matched to a request, the shares and the wait caused are unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Evidence, Pool, Window
from harness.evidence.backend_time import call_waits_ns, joined_share
from harness.gates.exceedance import JOINED_LEAST
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.results import UpstreamResult
from harness.statistics import nearest_rank
from harness.units import NS_PER_MS

SLOW_MOST: Final = 50_000
"""At most this many slow requests of a phase of one run are examined; if there are more, an evenly spaced subset."""
SLOWEST: Final = 0.99
"""A request is slow if it did not end ok, or if its latency is at or above this quantile of the phase."""


@dataclass(frozen=True, slots=True)
class _Calls:
    """One upstream's calls in one run: three arrays with an entry for each call."""

    request: NDArray[np.int64]
    """The index of the request in the run's samples that the call belongs to; −1 if it is unknown."""
    arrived_ns: NDArray[np.int64]
    waits_ns: NDArray[np.int64]


class Attribution:
    """Reads the calls of a pool once; `of` then gives the figures of a phase."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._calls = [[_calls(run, upstream.index) for upstream in run.plan.upstreams] for run in pool.runs]
        shares = [joined_share(run) for run in pool.runs]
        self._joined = all(share is not None and share >= JOINED_LEAST for share in shares)

    def of(self, phase: str) -> tuple[UpstreamResult, ...]:
        """One result for each upstream whose calls are recorded, in the plan's order.

        Empty if nothing arrived in the phase.
        """
        plan = self._pool.plan
        windows = [run.window(phase, every_part=True) for run in self._pool.runs]
        arrivals = sum(_arrivals(run, window) for run, window in zip(self._pool.runs, windows, strict=True))
        if not arrivals or not plan.upstreams:
            return ()
        share, caused_ms = self._slow(windows)
        results = []
        for upstream in plan.upstreams:
            if not upstream.records_calls:  # nothing is known of its calls, which is not the same as none
                continue
            waits = np.concatenate([self._waits(run, w, upstream.index) for run, w in enumerate(windows)])
            p50, p99 = nearest_rank(waits, [0.5, 0.99]) if len(waits) else (None, None)
            results.append(
                UpstreamResult(
                    name=upstream.name,
                    source=upstream.kind,
                    phase=phase,
                    calls=len(waits),
                    calls_per_arrival=len(waits) / arrivals,
                    p50_ms=None if p50 is None else int(p50) / NS_PER_MS,
                    p99_ms=None if p99 is None else int(p99) / NS_PER_MS,
                    slowest_share=None if share is None else float(share[upstream.index]),
                    wait_caused_ms=None if caused_ms is None else float(caused_ms[upstream.index]),
                )
            )
        return tuple(results)

    def _waits(self, run: int, window: Window, upstream: int) -> NDArray[np.int64]:
        calls = self._calls[run][upstream]
        if not self._joined:
            return calls.waits_ns[(calls.arrived_ns >= window.start_ns) & (calls.arrived_ns < window.end_ns)]
        return calls.waits_ns[_inside(calls.request, window.index)]

    def _slow(self, windows: list[Window]) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        """Two arrays by upstream: in which share of the slow requests it was the slowest, and the mean wait in ms that
        it caused, beyond the wait for the second slowest. None if calls cannot be matched, or no request was slow."""
        if not self._joined:
            return None, None
        waits = np.concatenate([self._slow_waits(run, window) for run, window in enumerate(windows)], axis=1)
        if not waits.shape[1]:
            return None, None
        slowest = waits.argmax(axis=0)
        most = waits.max(axis=0)
        next_most = np.partition(waits, -2, axis=0)[-2] if len(waits) > 1 else np.zeros(waits.shape[1])
        asked = most > 0
        share = np.bincount(slowest[asked], minlength=len(waits)) / waits.shape[1]
        caused = np.bincount(slowest, weights=most - next_most, minlength=len(waits)) / waits.shape[1]
        return share, caused / NS_PER_MS

    def _slow_waits(self, run_number: int, window: Window) -> NDArray[np.float64]:
        """An array of upstreams × slow requests: how long each request waited for each upstream, in ns."""
        run = self._pool.runs[run_number]
        plan = run.plan
        if not len(window.samples):
            return np.zeros((len(plan.upstreams), 0))
        threshold = nearest_rank(window.latency_ns, [SLOWEST])[0]
        slow = window.index[window.latency_ns >= threshold]
        slow = slow[:: -(-len(slow) // SLOW_MOST)]
        place = np.full(len(run.samples) + 1, -1, np.int64)
        place[slow] = np.arange(len(slow))
        waits = np.zeros((len(plan.upstreams), len(slow)))
        for upstream in plan.upstreams:
            calls = self._calls[run_number][upstream.index]
            at = place[calls.request]
            of_slow = at >= 0
            own = np.bincount(at[of_slow], weights=calls.waits_ns[of_slow], minlength=len(slow))
            waits[upstream.index] = np.where(own > 0, own, _held_by_fault_ns(run, upstream, slow))
        return waits


def _calls(run: Evidence, upstream: int) -> _Calls:
    chosen = np.flatnonzero(run.calls["upstream"] == upstream)
    return _Calls(
        request=run.call_requests[chosen],
        arrived_ns=run.calls["arrived_ns"][chosen],
        waits_ns=call_waits_ns(run, upstream, chosen),
    )


def _arrivals(run: Evidence, window: Window) -> int:
    return int(np.count_nonzero(window.samples["part"] == 0)) if run.has_parts else len(window.samples)


def _inside(request: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which calls belong to the requests at `index`. These are nearly always one contiguous range, which is cheap."""
    if not len(index):
        return np.zeros(len(request), np.bool_)
    first, last = int(index[0]), int(index[-1])
    inside: NDArray[np.bool_] = (request >= first) & (request <= last)
    if last - first + 1 != len(index):
        inside &= np.isin(request, index)
    return inside


def _held_by_fault_ns(run: Evidence, upstream: PlannedUpstream, requests: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each request: how long it can have waited at most for an upstream whose fault let no call through, in ns."""
    rows = run.samples[requests]
    held_ns = np.zeros(len(requests), np.int64)
    asks = np.array(upstream.asked_by(run.plan.load.requests))[rows["request"]]
    holding = {fault.name for fault in run.plan.faults if fault.held_ms > 0}
    for injection in run.journalled:
        span = injection.touched(run.end_ns)
        if injection.upstream != upstream.name or injection.fault not in holding or span is None:
            continue
        begin_ns = np.maximum(rows["sent_ns"], span[0])
        end_ns = np.minimum(rows["done_ns"], span[1])
        held_ns += np.maximum(end_ns - begin_ns, 0)
    return np.where(asks, held_ns, 0)
