"""Seconds in which the load generator sent late, and the check `lag`.

Send lag is sent minus intended time. It is part of the latency, so it can only make a gate look worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Evidence
from harness.statistics import nearest_rank
from harness.units import NS_PER_MS, NS_PER_S, format_duration, format_things
from harness.verdict.validity import RunCheck

LAG_MS: Final = 10.0
"""A p99 send lag up to this is never too much."""
RATE_HELD: Final = 1.02
"""Sending may take this many times as long as planned before the rate counts as not held."""


def lag_limit_ms(latency_limits_ms: list[float]) -> float:
    """How large the p99 send lag of a second may be: 10 ms, or 1 % of the smallest latency limit if that is more."""
    return max(LAG_MS, min(latency_limits_ms, default=0.0) / 100)


def send_lag_ns(run: Evidence) -> NDArray[np.int64]:
    """Sent minus intended time of the first request of every arrival, in ns, in order of `seq`; without the time that
    an arrival of a locustfile waited for a user, or its task took until it sent, which is no lag of ours."""
    lag: NDArray[np.int64] = run.samples["sent_ns"] - run.intended_ns - run.samples["waited_us"].astype(np.int64) * 1000
    return lag[run.samples["part"] == 0] if run.has_parts else lag


def late_seconds(run: Evidence, limit_ms: float) -> frozenset[int]:
    """The seconds from t = 0 (warm-up negative) whose p99 send lag is above the limit."""
    lag = send_lag_ns(run)
    late = lag > limit_ms * NS_PER_MS
    if not late.any():
        return frozenset()
    intended = run.intended_ns[run.samples["part"] == 0] if run.has_parts else run.intended_ns
    second = (intended - run.t0_ns) // NS_PER_S
    first = int(second[0])
    arrivals = np.bincount(second - first)
    too_late = np.bincount((second - first)[late], minlength=len(arrivals))
    # the p99 by nearest rank is above the limit exactly if fewer arrivals than that rank are at or below it
    rank = np.ceil(np.round(0.99 * arrivals, 6))
    return frozenset(int(index) + first for index in np.flatnonzero(arrivals - too_late < rank))


def lag_finding(run: Evidence, limit_ms: float, late: frozenset[int], changes: Sequence[str]) -> RunCheck:
    """The check on send lag. `late`: the seconds above `limit_ms`; `changes`: how the verdicts of gates change without
    them, empty if none does."""
    lag = send_lag_ns(run)
    if not len(lag):
        return RunCheck("lag", True, "nothing was sent")
    p99_ms = max(0, int(nearest_rank(lag, [0.99])[0])) / NS_PER_MS
    figures = f"p99 {format_duration(p99_ms)}, {format_things(len(late), 'second')} above {format_duration(limit_ms)}"
    figures += _rate_not_held(run, lag)
    if changes:
        return RunCheck(
            "lag",
            False,
            f"the load generator was late ({figures}), and without those seconds {changes[0]}",
            "free the machine, lower the rate, or add --workers; then run again",
        )
    return RunCheck("lag", True, figures if not late else f"{figures}; no verdict rests on them")


def _rate_not_held(run: Evidence, lag_ns: NDArray[np.int64]) -> str:
    """The rate at which the arrivals were sent, where it is lower than the planned one; "" where it was held.

    Both are means over all arrivals, so that one late second does not count. `lag_ns`: see send_lag_ns.
    """
    intended = run.intended_ns[run.samples["part"] == 0] if run.has_parts else run.intended_ns
    planned_s = float(np.ptp(intended)) / NS_PER_S
    sent_s = float(np.ptp(intended + lag_ns)) / NS_PER_S
    if not planned_s or sent_s <= planned_s * RATE_HELD:
        return ""
    count = len(lag_ns)
    return f"; it sent {count / sent_s:,.0f}/s of the {count / planned_s:,.0f}/s that were planned"
