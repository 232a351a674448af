"""A run as if no request had been held up by others that took the cores: the best that can be believed of the service.

A FAIL that holds here too is the service's, however few seconds are left without those that others took. So a service
that answers with errors, that waits for a slow upstream, or that is slower than any waiting explains is not excused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Evidence
from harness.evidence.backend_time import call_waits_ns
from harness.evidence.cores import CoreSeconds
from harness.evidence.joining.row_table import places_of
from harness.rundir.rows import Outcome
from harness.units import NS_PER_S
from harness.verdict.bad_seconds.taken import TakenSeconds

_TIMED_OUT: Final = (Outcome.GATEWAY_TIMEOUT, Outcome.CLIENT_TIMEOUT, Outcome.UNFINISHED)


def without_waiting(run: Evidence, taken: TakenSeconds) -> Evidence:
    """The same run as if each request had been answered earlier by all that others may have held it up in the taken
    seconds that it was open in.

    That is at most the time that others used, and at most the time that all processes of the run waited together, added
    up over these seconds. What the request waited for its upstreams stays. A request that timed out was as slow as its
    timeout at least, so it counts as answered only if it was held up all the time, and did not wait for an upstream for
    most of it. Other failures stay: no waiting for a core makes them.
    """
    if taken.record is None or not taken.seconds or not len(run.samples):
        return run
    samples = run.samples
    latency_ns = samples["done_ns"] - samples["intended_ns"]
    timed_out = np.isin(samples["outcome"], _TIMED_OUT)
    upstreams_ns = np.minimum(_waited_for_upstreams_ns(run, timed_out), latency_ns)
    held_ns = _held_ns(run, taken.record, taken.seconds)
    excused = timed_out & (held_ns >= latency_ns - upstreams_ns) & (2 * upstreams_ns <= latency_ns)
    return replace(
        run,
        samples=samples.replaced(
            done_ns=samples["done_ns"] - np.minimum(held_ns, latency_ns - upstreams_ns),
            outcome=np.where(excused, np.uint8(Outcome.OK), samples["outcome"]),
            status=np.where(excused, np.uint16(200), samples["status"]),
        ),
    )


def _held_ns(run: Evidence, record: CoreSeconds, seconds: frozenset[int]) -> NDArray[np.int64]:
    """For each request, how long others may have held it up; it may be longer than the request lasted."""
    chosen = np.isin(np.arange(len(record)) + record.first, list(seconds))
    each_s = np.where(chosen, np.minimum(record.others_s, record.run_waited_s), 0.0)
    total_s = np.concatenate([[0.0], np.cumsum(each_s)])
    begin, end = (_place(run.samples[name], run.t0_ns, record) for name in ("intended_ns", "done_ns"))
    held_s = total_s[np.minimum(end + 1, len(record))] - total_s[np.minimum(begin, len(record))]
    held_ns: NDArray[np.int64] = np.rint(held_s * NS_PER_S).astype(np.int64)
    return held_ns


def _place(t_ns: NDArray[np.int64], t0_ns: int, record: CoreSeconds) -> NDArray[np.int64]:
    """The index in the record of the second of each time; 0 before its first second."""
    place: NDArray[np.int64] = np.maximum((t_ns - t0_ns) // NS_PER_S - record.first, 0)
    return place


def _waited_for_upstreams_ns(run: Evidence, timed_out: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each request, the longest that it surely waited for one call, with what a fault added, in ns.

    A call counts if its upstream is in the answer, or if the request timed out: in any other answer the service may
    have given it up long before. That a fake was late itself does not count, unless a fault made it late.
    """
    longest_ns = np.zeros(len(run.samples), np.int64)
    answered = run.samples["answered"]
    for upstream in run.plan.upstreams:
        chosen = places_of((run.calls["upstream"] == upstream.index) & (run.call_arrivals >= 0))
        if not upstream.records_calls or not len(chosen):
            continue
        calls, arrival = run.calls[chosen], run.call_arrivals[chosen]
        late_ns = np.where(
            (calls["faults"] == 0) & (calls["due_ns"] > 0), (calls["done_ns"] - calls["due_ns"]).clip(min=0), 0
        )
        waits_ns = (call_waits_ns(run, upstream.index, chosen) - late_ns).clip(min=0)
        is_in_answer = (answered[arrival] >> np.uint64(upstream.index)) & np.uint64(1) == 1
        np.maximum.at(longest_ns, arrival, np.where(is_in_answer | timed_out[arrival], waits_ns, 0))
    return longest_ns
