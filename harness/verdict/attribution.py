"""Which upstream made slow requests slow: for each phase and upstream its calls, their waits, and the wait it caused.

Every request counts, so that of an arrival with several the one that was slow is explained by its own calls. Its wait
for an upstream is the sum over its calls to it, so that the figures are right for services that ask one upstream after
the other too. The delay of a fault counts as the upstream's own, since a backend behind a toxic
does not see it. If too few calls can be matched to a request, the shares and the wait caused are unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Evidence, Pool, Window
from harness.evidence.backend_time import call_waits_ns
from harness.evidence.joining.row_table import Places, blocks, places_of
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
    """One upstream's calls in one run: arrays with an entry for each call."""

    request: Places
    """The place of the request in the run's samples that the call belongs to; −1 if it is unknown."""
    arrived_ns: NDArray[np.int64] | None
    """None if calls are matched to requests, so that it does not matter."""
    waits_ns: NDArray[np.int64]


@dataclass(slots=True)
class _Phase:
    """One phase of a pool. Lists have an entry for each run."""

    windows: list[Window]
    slow: list[Places]
    """The places of its slow requests in the run's samples."""
    waits_ns: list[NDArray[np.float64]]
    """Arrays of upstreams × slow requests: how long each waited for each upstream."""
    calls: dict[int, tuple[int, int | None, int | None]] = field(default_factory=dict)
    """By an upstream's index: its calls, and p50 and p99 of their waits in ns."""


class Attribution:
    """Reads the calls of a pool once; `of` then gives the figures of one of the `phases`.

    It reads one upstream after the other, since the calls to all of them at once may not fit into memory.
    """

    def __init__(self, pool: Pool, phases: Sequence[str]) -> None:
        self._pool = pool
        shares = [run.joined_share for run in pool.runs]
        self._joined = all(share is not None and share >= JOINED_LEAST for share in shares)
        self._phases = {phase: self._begun(phase) for phase in phases}
        for upstream in pool.plan.upstreams:
            calls = [self._calls_to(run, upstream.index) for run in pool.runs]
            for phase in self._phases.values():
                phase.calls[upstream.index] = self._call_figures(phase, calls)
                if self._joined:
                    self._add_slow_waits(phase, calls, upstream)

    def of(self, phase: str) -> tuple[UpstreamResult, ...]:
        """One result for each upstream whose calls are recorded, in the plan's order.

        Empty if nothing arrived in the phase.
        """
        plan, figures = self._pool.plan, self._phases[phase]
        arrivals = sum(_arrivals(window) for window in figures.windows)
        if not arrivals or not plan.upstreams:
            return ()
        share, caused_ms = self._slow(figures)
        results = []
        for upstream in plan.upstreams:
            if not upstream.records_calls:  # nothing is known of its calls, which is not the same as none
                continue
            calls, p50, p99 = figures.calls[upstream.index]
            results.append(
                UpstreamResult(
                    name=upstream.name,
                    source=upstream.kind,
                    phase=phase,
                    calls=calls,
                    calls_per_arrival=calls / arrivals,
                    p50_ms=None if p50 is None else p50 / NS_PER_MS,
                    p99_ms=None if p99 is None else p99 / NS_PER_MS,
                    slowest_share=None if share is None else float(share[upstream.index]),
                    wait_caused_ms=None if caused_ms is None else float(caused_ms[upstream.index]),
                )
            )
        return tuple(results)

    def _begun(self, name: str) -> _Phase:
        windows = [run.window(name, every_part=True) for run in self._pool.runs]
        slow = [_slow_requests(window) for window in windows]
        upstreams = len(self._pool.plan.upstreams)
        return _Phase(windows, slow, [np.zeros((upstreams, len(own))) for own in slow])

    def _calls_to(self, run: Evidence, upstream: int) -> _Calls:
        chosen = places_of(run.calls["upstream"] == upstream)
        return _Calls(
            request=run.call_requests[chosen],
            arrived_ns=None if self._joined else run.calls[chosen]["arrived_ns"],
            waits_ns=call_waits_ns(run, upstream, chosen),
        )

    def _call_figures(self, phase: _Phase, calls: Sequence[_Calls]) -> tuple[int, int | None, int | None]:
        each = [_waits_in(own, window) for own, window in zip(calls, phase.windows, strict=True)]
        waits_ns = each[0] if len(each) == 1 else np.concatenate(each)
        p50, p99 = nearest_rank(waits_ns, [0.5, 0.99]) if len(waits_ns) else (None, None)
        return len(waits_ns), None if p50 is None else int(p50), None if p99 is None else int(p99)

    def _add_slow_waits(self, phase: _Phase, calls: Sequence[_Calls], upstream: PlannedUpstream) -> None:
        for run, own, slow, waits_ns in zip(self._pool.runs, calls, phase.slow, phase.waits_ns, strict=True):
            if not len(slow):
                continue
            place = np.full(len(run.samples) + 1, -1, np.int32)
            place[slow] = np.arange(len(slow), dtype=np.int32)
            of_slow = np.zeros(len(slow))
            for block in blocks(len(own.request)):
                at = place[own.request[block]]
                known = at >= 0
                of_slow += np.bincount(at[known], weights=own.waits_ns[block][known], minlength=len(slow))
            waits_ns[upstream.index] = np.where(of_slow > 0, of_slow, _held_by_fault_ns(run, upstream, slow))

    def _slow(self, phase: _Phase) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        """Two arrays by upstream: in which share of the slow requests it was the slowest, and the mean wait in ms that
        it caused, beyond the wait for the second slowest. None if calls cannot be matched, or no request was slow."""
        if not self._joined:
            return None, None
        waits = np.concatenate(phase.waits_ns, axis=1)
        if not waits.shape[1]:
            return None, None
        slowest = waits.argmax(axis=0)
        most = waits.max(axis=0)
        next_most = np.partition(waits, -2, axis=0)[-2] if len(waits) > 1 else np.zeros(waits.shape[1])
        asked = most > 0
        share = np.bincount(slowest[asked], minlength=len(waits)) / waits.shape[1]
        caused = np.bincount(slowest, weights=most - next_most, minlength=len(waits)) / waits.shape[1]
        return share, caused / NS_PER_MS


def _arrivals(window: Window) -> int:
    """How many arrivals the requests of the window belong to."""
    return int(np.count_nonzero(window.samples["part"] == 0))


def _slow_requests(window: Window) -> Places:
    """The places of the window's slow requests in the run's samples, at most SLOW_MOST."""
    if not len(window):
        return np.empty(0, np.int64)
    threshold = nearest_rank(window.latency_ns, [SLOWEST])[0]
    slow = window.places(window.latency_ns >= threshold)
    return slow[:: -(-len(slow) // SLOW_MOST)]


def _waits_in(calls: _Calls, window: Window) -> NDArray[np.int64]:
    """The waits of the calls of one phase: of its requests, or if these are not known, of its time."""
    if calls.arrived_ns is not None:
        inside = (calls.arrived_ns >= window.start_ns) & (calls.arrived_ns < window.end_ns)
    else:
        inside = _inside(calls.request, window)
    return calls.waits_ns[inside]


def _inside(request: Places, window: Window) -> NDArray[np.bool_]:
    """Which calls belong to the requests of a window. These are nearly always one contiguous range, which is cheap."""
    if not len(window):
        return np.zeros(len(request), np.bool_)
    if isinstance(window.place, slice):
        inside: NDArray[np.bool_] = (request >= window.place.start) & (request < window.place.stop)
        return inside
    return np.isin(request, window.place)


def _held_by_fault_ns(run: Evidence, upstream: PlannedUpstream, requests: Places) -> NDArray[np.int64]:
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
