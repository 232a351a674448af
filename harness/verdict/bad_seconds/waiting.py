"""A run as if no request had been held up by others that took the cores: the best that can be believed of the service.

A FAIL that holds here too is the service's, however few seconds are left without those that others took. So a service
that waits for a slow upstream, or that is slower or fails more than any waiting explains, is not excused.

How late the run's processes reacted is read from the calls to fakes: how long it took from the time at which a request
was due until its first call came, and how late fakes answered. Where calls came at once, nothing had queued up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Evidence, Window
from harness.evidence.backend_time import call_waits_ns
from harness.evidence.completeness import expected
from harness.evidence.cores import CoreSeconds
from harness.evidence.joining.row_table import RowTable, places_of
from harness.rundir.rows import ERRORS, NO_SEQ, Outcome
from harness.units import NS_PER_MS, NS_PER_S
from harness.verdict.bad_seconds.taken import TakenSeconds

REACTED_LATE_MS: Final = 50.0
"""How late the run's processes must have reacted before an error, or a missing part of an answer, may come from it."""
SPAN_MOST: Final = 120
"""For how many seconds from the intended time on the reactions of a second count for a request."""
_TIMED_OUT: Final = (Outcome.GATEWAY_TIMEOUT, Outcome.CLIENT_TIMEOUT, Outcome.UNFINISHED)
_UNKNOWN_NS: Final = np.iinfo(np.int64).max // 4
"""A reaction of which nothing is known: as late as is needed."""


def without_waiting(run: Evidence, taken: TakenSeconds, *, spare_baseline: bool = False) -> Evidence:
    """The same run as if each request had been answered earlier by all that others may have held it up in the taken
    seconds that it was open in, and by what had queued up before it.

    `spare_baseline`: what was due in the baseline stays, for a gate that compares with it.

    - What a request waited for the upstreams in its answer stays, and of a timeout what it waited for an upstream
      beyond the latest reaction of those seconds: a deadline of the service may have come so late.
    - A timeout was as slow as its limit at least, so it counts as answered only if others held the request up for all
      the rest of the time, and that was half of it at least.
    - Another failure, or an answer that lacks an upstream without a fault, counts as whole if the run's processes
      reacted late in those seconds: somebody's deadline may have run out.
    """
    if taken.record is None or not taken.seconds or not len(run.samples):
        return run
    held = _HeldUp.of(run, taken.record, taken)
    if spare_baseline:
        held = held.outside_baseline(run)
    samples = run.samples
    outcome, latency_ns = samples["outcome"], samples["done_ns"] - samples["intended_ns"]
    timed_out = np.isin(outcome, _TIMED_OUT)
    upstreams_ns = np.minimum(_waited_for_upstreams_ns(run, timed_out, held.reaction_ns), latency_ns)
    rest_ns = latency_ns - upstreams_ns
    late = held.is_open & (held.reaction_ns >= REACTED_LATE_MS * NS_PER_MS)
    excused = timed_out & (held.ns >= rest_ns) & (2 * upstreams_ns <= latency_ns)
    excused |= late & np.isin(outcome, ERRORS) & ~timed_out & (outcome != Outcome.DROPPED)
    done_ns, first_ns = _answered_earlier(samples, np.minimum(held.ns, rest_ns))
    changed = samples.replaced(
        done_ns=done_ns,
        first_ns=np.where(excused & (first_ns == 0), done_ns, first_ns),
        outcome=np.where(excused, np.uint8(Outcome.OK), outcome),
        status=np.where(excused, np.uint16(200), samples["status"]),
        answered=samples["answered"] | np.where(late | excused, ~np.uint64(0), ~_expected(run)),
    )
    return replace(run, samples=changed, calls=_calls_in_time(run, run.calls, late))


def _answered_earlier(samples: RowTable, held_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """When each request would have ended, and its first byte come: earlier by as much, but not before it was due."""
    first_ns, done_ns = samples["first_ns"], samples["done_ns"] - held_ns
    earlier_ns = np.maximum(first_ns - held_ns, samples["intended_ns"])
    return done_ns, np.where(first_ns > 0, np.minimum(earlier_ns, done_ns), 0)


def _expected(run: Evidence) -> NDArray[np.uint64]:
    """For each request the bits of the upstreams that its answer should hold, by the times at which it really ended."""
    every = Window(run.samples, run.latency_ns, slice(0, len(run.samples)), 0.0, run.t0_ns, run.t0_ns, False)
    return expected(run, every)


# ---------------------------------------------------------------- how long others may have held a request up


@dataclass(frozen=True, slots=True)
class _HeldUp:
    """For each request: how long others may have held it up (`ns`; it may be longer than the request lasted), how late
    the run's processes reacted at most while it was open, and whether it was open in an affected second."""

    ns: NDArray[np.int64]
    reaction_ns: NDArray[np.int64]
    is_open: NDArray[np.bool_]

    @classmethod
    def of(cls, run: Evidence, record: CoreSeconds, taken: TakenSeconds) -> _HeldUp:
        """In the seconds that a request was open in, it was held up for `CoreSeconds.held_s`. Before it, what had
        queued up was the sum of these since a second in which the run's processes were idle for longer than they were
        held up, and no more than the latest reaction."""
        numbers = np.arange(len(record)) + record.first
        each_s = np.where(np.isin(numbers, list(taken.seconds)), record.held_s, 0.0)
        queued_s = _queued_s(each_s, record.idle_s, begin=_load_begin(run) - record.first)
        total_s = np.concatenate([[0.0], np.cumsum(each_s)])
        begin, end = (_place(run.samples[name], run.t0_ns, record) for name in ("intended_ns", "done_ns"))
        inside_s = total_s[np.minimum(end + 1, len(record))] - total_s[np.minimum(begin, len(record))]
        affected = np.concatenate([[0], np.cumsum(np.isin(numbers, list(taken.affected | taken.seconds)))])
        is_open = affected[np.minimum(end + 1, len(record))] > affected[np.minimum(begin, len(record))]
        reaction_ns = _reactions_ns(run)
        before_s = np.where(begin < len(record), queued_s[np.minimum(begin, len(record) - 1)], 0.0)
        before_ns = np.minimum(np.rint(before_s * NS_PER_S).astype(np.int64), reaction_ns)
        return cls(np.rint(inside_s * NS_PER_S).astype(np.int64) + before_ns * is_open, reaction_ns, is_open)

    def outside_baseline(self, run: Evidence) -> _HeldUp:
        since_ms = (run.intended_ns - run.t0_ns) / NS_PER_MS
        changed = np.ones(len(since_ms), np.bool_)
        for begin_ms, end_ms in run.phase("baseline").intervals:
            changed &= (since_ms < begin_ms) | (since_ms >= end_ms)
        return _HeldUp(self.ns * changed, self.reaction_ns, self.is_open & changed)


def _load_begin(run: Evidence) -> int:
    """The second, counted from t = 0, in which the first request was due: nothing had queued up before."""
    return int((run.samples["intended_ns"].min() - run.t0_ns) // NS_PER_S)


def _queued_s(held_s: NDArray[np.float64], idle_s: NDArray[np.float64], *, begin: int) -> NDArray[np.float64]:
    """How much may have queued up at the beginning of each second, in seconds of work (the recursion of Lindley)."""
    queued_s = np.zeros(len(held_s))
    left_s = 0.0
    for place in range(max(0, begin), len(held_s)):
        queued_s[place] = left_s
        left_s = max(0.0, left_s + float(held_s[place] - idle_s[place]))
    return queued_s


def _place(t_ns: NDArray[np.int64], t0_ns: int, record: CoreSeconds) -> NDArray[np.int64]:
    """The index in the record of the second of each time; 0 before its first second."""
    place: NDArray[np.int64] = np.maximum((t_ns - t0_ns) // NS_PER_S - record.first, 0)
    return place


# ---------------------------------------------------------------- how late the run's processes reacted


def _reactions_ns(run: Evidence) -> NDArray[np.int64]:
    """For each request the latest reaction to any that was due in a second that it was open in, in ns; unknown if none
    of them led to a call."""
    due = (run.samples["intended_ns"] - run.t0_ns) // NS_PER_S
    first, length = int(due.min()), int(np.ptp(due)) + 1
    latest_ns = np.full(length + SPAN_MOST, -1, np.int64)
    known = places_of((run.call_requests >= 0) & (run.calls["seq"] != NO_SEQ))
    request = run.call_requests[known]
    called_ns = np.full(len(run.samples), _UNKNOWN_NS, np.int64)
    np.minimum.at(
        called_ns, request, (run.calls["arrived_ns"][known] - run.samples["intended_ns"][request]).clip(min=0)
    )
    called = called_ns < _UNKNOWN_NS
    np.maximum.at(latest_ns, due[called] - first, called_ns[called])
    np.maximum.at(latest_ns, due[request] - first, _late_ns(run.calls[known]))
    open_for = np.clip((run.samples["done_ns"] - run.t0_ns) // NS_PER_S - due, 0, SPAN_MOST - 1)
    found_ns = latest_ns[due - first]
    for further in range(1, int(open_for.max()) + 1):
        longer = open_for >= further
        found_ns[longer] = np.maximum(found_ns[longer], latest_ns[due[longer] - first + further])
    return np.where(found_ns < 0, _UNKNOWN_NS, found_ns)


def _late_ns(calls: RowTable) -> NDArray[np.int64]:
    """How much later than due a fake answered each call; 0 where a fault made the answer late, or the client left."""
    is_own = (calls["faults"] == 0) & (calls["due_ns"] > 0)
    late_ns: NDArray[np.int64] = np.where(is_own, (calls["done_ns"] - calls["due_ns"]).clip(min=0), 0)
    return late_ns


def _waited_for_upstreams_ns(
    run: Evidence, timed_out: NDArray[np.bool_], reaction_ns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """For each request, the longest that it surely waited for one call, with what a fault added, in ns.

    A call counts if its upstream is in the answer; or, without the latest reaction, if the request timed out: in any
    other answer the service may have given it up long before. That a fake was late itself does not count, unless a
    fault made it late.
    """
    longest_ns = np.zeros(len(run.samples), np.int64)
    answered = run.samples["answered"]
    for upstream in run.plan.upstreams:
        chosen = places_of((run.calls["upstream"] == upstream.index) & (run.call_requests >= 0))
        if not upstream.records_calls or not len(chosen):
            continue
        request = run.call_requests[chosen]
        waits_ns = (call_waits_ns(run, upstream.index, chosen) - _late_ns(run.calls[chosen])).clip(min=0)
        is_in_answer = (answered[request] >> np.uint64(upstream.index)) & np.uint64(1) == 1
        beyond_ns = np.where(timed_out[request], (waits_ns - reaction_ns[request]).clip(min=0), 0)
        np.maximum.at(longest_ns, request, np.where(is_in_answer, waits_ns, beyond_ns))
    return longest_ns


def _calls_in_time(run: Evidence, calls: RowTable, late: NDArray[np.bool_]) -> RowTable:
    """The calls as if fakes had answered when it was due, and no client had left before, in those of `late` requests
    that no fault has touched."""
    if not len(calls):
        return calls
    due_ns, done_ns, status = calls["due_ns"], calls["done_ns"], calls["status"]
    own = (calls["faults"] == 0) & (due_ns > 0) & (run.call_requests >= 0)
    own &= late[run.call_requests]
    for upstream in run.plan.upstreams:
        for begin_ns, end_ns in run.injections(upstream.name):
            touched = (calls["arrived_ns"] < end_ns) & (done_ns >= begin_ns)
            own &= ~((calls["upstream"] == upstream.index) & touched)
    left = own & (status == 0)
    in_time_ns = np.where(left, due_ns, np.minimum(done_ns, due_ns))
    return calls.replaced(
        status=np.where(left, status.dtype.type(200), status), done_ns=np.where(own, in_time_ns, done_ns)
    )
