"""The calls that are open at an upstream as the service sees them, and how its connections there were used. Pure.

An upstream sees a call only while the call is with it. A delay that Toxiproxy injects holds the call before or after
that, and meanwhile the service has it open. So the delays that are known are added to what the upstream recorded. A
call that the service gives up ends with its request at the latest.

`refill_ratio` tells a limit of N calls from a number that is steady by itself, such as rate times time behind a
bottleneck elsewhere (Little's law). At a limit that is reached, a call begins because another has ended. Count begins
and ends in order of time from 0: then begin k + N follows end k at once, however irregularly calls end. So the spread
(the distance of the quartiles) of `begin[k + N] - end[k]` is small. It is compared with what the begins alone say:

* with the spread of `begin[k + N] - begin[k]`. Where nothing waits for the ends, what varies in the time of a call is
  not in the begins, so the spread from the ends is the larger one.
* where each call takes the same time, both are small. Then it is compared with the least spread of
  `begin[k + m] - begin[k]` for all m < N: behind a bottleneck that works in a fixed time the begins repeat themselves
  after as many as it works on at once.

The ratio is that to the larger of the two. Without a limit it is about 1, and seldom below 0.7, unless a bottleneck
elsewhere takes as long as a call and works on as many at once; nothing that is seen from outside tells these apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from harness.rundir.canaries import CanaryLine, Connections
from harness.search.stationary import mean_in_flight
from harness.units import NS_PER_MS

if TYPE_CHECKING:
    from harness.rundir.planned.fault import PlannedFault

LIMIT_LEAST: Final = 0.95
"""The limit is sought from this share of the most open calls on, or one less: a call that is given up ends a little
before its request does."""
RESOLUTION_NS: Final = 0.1 * NS_PER_MS
"""A smaller spread is none: what it consists of is not the service's."""
PAIRS_LEAST: Final = 30
PAIRS_MOST: Final = 1_000
READINGS_LEAST: Final = 3
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class InjectedDelay:
    """What a standing fault adds to each call of an upstream, in ms: before the call reaches it, and after."""

    before_ms: float = 0.0
    after_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class OpenCalls:
    """`limit`: the number of calls that fits best as the limit, with its `refill_ratio`. None: too little came."""

    mean: float | None = None
    most: int | None = None
    limit: int | None = None
    refill_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class ListenerUse:
    """The service's connections at the listener of an upstream. None: there are too few readings."""

    mean: float | None = None
    most: int | None = None


def injected_delay(faults: Iterable[PlannedFault], upstream: str) -> InjectedDelay:
    """Infinite: a fault changes when calls end, by a time that is not known of each of them."""
    before_ms = after_ms = 0.0
    for fault in faults:
        if upstream not in fault.upstreams:
            continue
        if fault.disables_proxy or fault.process is not None:
            after_ms = math.inf
        for toxic in fault.toxics:
            if toxic.type != "latency" or toxic.toxicity < 1:
                after_ms = math.inf
            elif toxic.stream == "upstream":
                before_ms += toxic.attributes.get("latency", 0)
            else:
                after_ms += toxic.attributes.get("latency", 0)
    return InjectedDelay(before_ms, after_ms)


def call_ends(begun_ns: Times, done_ns: Times, request_done_ns: Times, delay: InjectedDelay) -> Times:
    """When the calls ended for the service, shape (calls,). `begun_ns`: for it; `done_ns`: at the upstream;
    `request_done_ns`: the end of the request that each call was for.

    A service that has not heard of the request's end, such as behind a gateway, calls again after it. Such a call ends
    when it is done.
    """
    known = not math.isinf(delay.after_ms)
    whole_ns = done_ns + round(delay.after_ms * NS_PER_MS) if known else done_ns
    with_request_ns = np.minimum(whole_ns, request_done_ns) if known else request_done_ns
    return np.maximum(begun_ns, np.where(request_done_ns > begun_ns, with_request_ns, whole_ns))


def open_calls(begun_ns: Times, ended_ns: Times, begin_ns: int, end_ns: int) -> OpenCalls:
    """The calls that the service has open in [begin, end). `begun_ns`, `ended_ns`: of each call of the load, also of
    those before and after, shape (calls,)."""
    begun, ended = np.sort(begun_ns), np.sort(ended_ns)
    first, last = np.searchsorted(begun, [begin_ns, end_ns]).tolist()
    moments = begun[first:last]
    if not len(moments):
        return OpenCalls()
    most = int((np.searchsorted(begun, moments, "right") - np.searchsorted(ended, moments, "right")).max())
    mean = mean_in_flight(begun, ended, begin_ns, end_ns)
    later = np.arange(max(first, most, last - PAIRS_MOST), last)
    if most < 1 or len(later) < PAIRS_LEAST:
        return OpenCalls(mean, most)
    least = max(1, min(most - 1, math.floor(LIMIT_LEAST * most)))
    refill = {count: _spread(begun[later] - ended[later - count]) for count in range(least, most + 1)}
    limit = min(refill, key=lambda count: refill[count])
    repeats = [_spread(begun[later] - begun[later - count]) for count in range(1, limit + 1)]
    other = max(repeats[-1], min(repeats[:-1], default=RESOLUTION_NS))
    return OpenCalls(mean, most, limit, refill[limit] / other)


def listener_use(lines: Iterable[CanaryLine], upstream: str, begin_ns: int, end_ns: int) -> ListenerUse:
    """Of the readings in [begin, end)."""
    counts = [
        line.count
        for line in lines
        if isinstance(line, Connections)
        and line.upstream == upstream
        and line.count is not None
        and begin_ns <= line.t_ns < end_ns
    ]
    if len(counts) < READINGS_LEAST:
        return ListenerUse()
    return ListenerUse(mean=sum(counts) / len(counts), most=max(counts))


def _spread(times: Times) -> float:
    """The distance of the quartiles."""
    low, high = len(times) // 4, len(times) - 1 - len(times) // 4
    ordered = np.partition(times, (low, high))  # np.percentile takes ten times as long
    return max(RESOLUTION_NS, float(ordered[high] - ordered[low]))
