"""How long a gate needs to be decided at a given rate, before anything runs. Pure.

A gate on a share is decided by how many requests exceed its limit (`harness.statistics.decide`), so the length that
decides it follows from its rate and from what happens. Four cases are computed: nothing is slow; everything is for a
while (an outage); half the share that the gate allows exceeds its limit; and twice that share does. In the latter two
the slow requests are spread evenly, which is the best case: those that come in spells need longer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from harness.rundir.searches.planned import DecisionTimes
from harness.statistics import BATCHES, Counts, Rule, batch_edges, batch_sizes, decide

if TYPE_CHECKING:
    from harness.gates.gate import Gate

LONGEST_S: Final = 86_400.0
"""A gate that a whole day does not decide is said to be undecidable at this rate."""
STEP: Final = 1.02
"""Lengths are tried in steps of 2 %, so that a length is at most that much too long."""
SETTLED: Final = 5
"""A length decides only if the next so many lengths do as well: with few slow requests a decision comes and goes."""


def decision_times(
    gate: Gate,
    *,
    rate_per_s: float | None,
    planned_s: float,
    clump_ms: float,
    confidence: float,
    alpha_fail: float,
    runs: int = 1,
    is_steady: bool = True,
) -> DecisionTimes:
    """The lengths that decide `gate` at `rate_per_s` requests of its population a second. `planned_s`: of its phase in
    one of the `runs` that are pooled. `is_steady`: they arrive at this rate throughout the phase; else it is a mean,
    and how many requests an outage hits depends on when it comes.

    Where the rate is not known (None), and for a gate that is not decided by a share, only `healthy_s` is known: the
    length before which it never passes.
    """
    windows_s = runs * gate.window_needed_ms() / 1000
    share = gate.allowed_share
    if share is None or rate_per_s is None:
        return DecisionTimes(healthy_s=_least_healthy_s(gate, rate_per_s, clump_ms, confidence, windows_s))
    rule = Rule(p0=share, clump_s=clump_ms / 1000, alpha=round(1 - confidence, 9), alpha_fail=alpha_fail)
    healthy_s = least_s(0.0, "pass", rate_per_s, rule)
    return DecisionTimes(
        healthy_s=None if healthy_s is None else max(healthy_s, windows_s),
        outage_s=_outage_s(round(planned_s * rate_per_s), planned_s, runs, rule) if is_steady else None,
        half_s=least_s(share / 2, "pass", rate_per_s, rule),
        twice_s=least_s(2 * share, "fail", rate_per_s, rule) if 2 * share <= 1 else None,
    )


def _least_healthy_s(
    gate: Gate, rate_per_s: float | None, clump_ms: float, confidence: float, windows_s: float
) -> float | None:
    """Until enough moments have passed and enough requests have come, at least one for a gate on requests; None if none
    come."""
    moments = gate.moments(confidence)
    seconds = max(moments * clump_ms / 1000, windows_s)
    on_requests = gate.series is None and not (gate.uses_resources or gate.significance)
    requests = max(moments, 1) if on_requests else moments
    if rate_per_s is None or not requests:
        return seconds
    return max(seconds, requests / rate_per_s) if rate_per_s else None


def least_s(slow_share: float, verdict: Literal["pass", "fail"], rate_per_s: float, rule: Rule) -> float | None:
    """The least length of a window in which `slow_share` of the arrivals, spread evenly, gives `verdict`; None if a day
    is too short."""
    if rate_per_s <= 0:
        return None
    holds_since: int | None = None
    held, n = 0, 1
    while n / rate_per_s <= LONGEST_S:
        if decide(_evenly(n, slow_share), n / rate_per_s, rule).verdict == verdict:
            holds_since = n if holds_since is None else holds_since
            held += 1
            if held > SETTLED:
                return holds_since / rate_per_s
        else:
            holds_since, held = None, 0
        n = max(n + 1, math.ceil(n * STEP))
    return None


def _outage_s(n: int, planned_s: float, runs: int, rule: Rule) -> float | None:
    """The shortest stall that fails the gate: so many of the first of `n` requests of one run are slow, no other is.
    None if not even a stall of the whole phase of that run does."""
    if n < 1:
        return None

    def fails(stalled: int) -> bool:
        return decide(_stall(stalled, n, runs), runs * planned_s, rule).verdict == "fail"

    if not fails(n):
        return None
    low, high = 0, n  # a longer stall fails as well, so the shortest is found by halving
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(middle) else (middle, high)
    return high / n * planned_s


def _stall(stalled: int, n: int, runs: int) -> Counts:
    """The batches of `runs` runs of `n` arrivals, of which the first `stalled` of the first run are slow."""
    sizes = batch_sizes(n)
    first = np.clip(stalled - batch_edges(n)[:-1], 0, sizes)
    healthy = np.zeros(BATCHES * (runs - 1))
    return Counts(np.concatenate((first, healthy)), np.tile(sizes, runs))


def _evenly(n: int, slow_share: float) -> Counts:
    """Batches of `n` arrivals of which the share is slow, as evenly as whole requests allow."""
    edges = batch_edges(n)
    slow = np.floor(edges * slow_share + 1e-9)
    return Counts(np.diff(slow), np.diff(edges).astype(np.float64))
