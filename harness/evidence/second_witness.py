"""Whether the service met a fault where this machine's sockets cannot say that it did not.

That is so for the listeners of a Toxiproxy that the run did not start: it may be in another network namespace, or the
proxy may be borrowed. What stands in for its connections is, in this order, what Toxiproxy counted beyond our own
canaries, then the service's own requests: slower by the fault's delay, or failing more often than before. These are
facts about one run; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from harness.evidence.injections import Injection
from harness.evidence.run import Evidence
from harness.evidence.window import NEVER, Window
from harness.rundir.canaries import Canary, Traffic
from harness.rundir.planned.fault import PlannedFault
from harness.units import NS_PER_MS, NS_PER_S, Span, format_duration

DELAY_MOST_MS: Final = 1_000.0
"""A median that moved by so much shows any longer delay too: the service may have given up by then."""
REQUESTS_LEAST: Final = 20
"""Fewer requests in the baseline or during the fault show nothing."""
ALPHA: Final = 0.025
_SLACK_NS: Final = NS_PER_S
"""A canary that ended so shortly outside two readings may be counted between them."""


def blindness(run: Evidence, upstream: str) -> str:
    """Why it proves nothing that no connection of the service was seen on the listener; empty if it does prove it."""
    if run.plan.sees_every_connection:
        return ""
    if run.plan.upstream(upstream).borrowed is not None:
        return "the proxy is borrowed, and this machine may not see every connection to it"
    return f"Toxiproxy at {run.plan.toxiproxy_url} may be in a network that this machine does not see"


def traffic_bytes(run: Evidence, upstream: str, spans: Sequence[Span]) -> int | None:
    """Bytes that clients other than canaries sent on connections that ended within the windows, at least.

    None: the server does not count them. Toxiproxy counts the bytes of a connection when it ends.
    """
    lines = [line for line in run.canaries if isinstance(line, Traffic) and line.upstream == upstream]
    canaries = [line for line in run.canaries if isinstance(line, Canary) and line.upstream == upstream]
    if not lines:
        return None
    total = 0
    for span in spans:
        inside = [line for line in lines if span.has(line.t_ns)]
        if len(inside) < 2:
            continue
        first, last = inside[0], inside[-1]
        own = sum(
            canary.sent_bytes
            for canary in canaries
            if first.t_ns - _SLACK_NS <= canary.done_ns <= last.t_ns + _SLACK_NS
        )
        total += max(0, last.received_bytes - first.received_bytes - own)
    return total


def seen_in_requests(run: Evidence, fault: PlannedFault, injections: Sequence[Injection]) -> str:
    """What the service's own requests show of the fault, as a predicate; empty: nothing.

    They show nothing while another fault was active too, since they might show that one.
    """
    if _overlaps(run, fault, injections):
        return ""
    before, during = run.window("baseline"), run.window(fault.name)
    if min(len(before.latency_ns), len(during.latency_ns)) < REQUESTS_LEAST:
        return ""
    return _slower(before, during, _needed_ms(fault)) or _failing(before, during)


def _needed_ms(fault: PlannedFault) -> float | None:
    """By how much the median must move; None if the fault delays nothing by a known time."""
    delay_ms = fault.delay_ms if fault.delay_ms is not None else fault.proof.least_ms
    return min(delay_ms / 2, DELAY_MOST_MS) if fault.proof.kind == "held" and delay_ms > 0 else None


def _slower(before: Window, during: Window, needed_ms: float | None) -> str:
    base_ns, now_ns = _median_ns(before.latency_ns), _median_ns(during.latency_ns)
    if needed_ms is None or base_ns == NEVER or now_ns - base_ns < needed_ms * NS_PER_MS:
        return ""
    if now_ns == NEVER:
        return "half of the service's requests failed"
    moved = f"{format_duration(now_ns / NS_PER_MS)} instead of {format_duration(base_ns / NS_PER_MS)}"
    return f"the service's requests took {moved} in the median"


def _failing(before: Window, during: Window) -> str:
    failed_before, failed = int(np.count_nonzero(~before.ok)), int(np.count_nonzero(~during.ok))
    if _low(failed, len(during.ok)) <= _high(failed_before, len(before.ok)):
        return ""
    shares = f"{failed / len(during.ok):.1%} instead of {failed_before / len(before.ok):.1%}"
    return f"{shares} of the service's requests failed"


def _low(k: int, n: int) -> float:
    """The exact lower bound (Clopper-Pearson) of a share of which `k` of `n` were seen."""
    return float(betaincinv(k, n - k + 1, ALPHA)) if k else 0.0


def _high(k: int, n: int) -> float:
    return float(betaincinv(k + 1, n - k, 1 - ALPHA)) if k < n else 1.0


def _median_ns(latency_ns: NDArray[np.int64]) -> int:
    return int(np.partition(latency_ns, (len(latency_ns) - 1) // 2)[(len(latency_ns) - 1) // 2])


def _overlaps(run: Evidence, fault: PlannedFault, injections: Sequence[Injection]) -> bool:
    own = [span for injection in injections if (span := injection.touched(run.end_ns)) is not None]
    others = [
        span
        for injection in run.journalled
        if injection.fault != fault.name and (span := injection.touched(run.end_ns)) is not None
    ]
    return any(a.begin_ns < b.end_ns and b.begin_ns < a.end_ns for a in own for b in others)
