"""How long a gate needs to be decided at a given rate, before anything runs. Pure.

A gate on a share is decided by how many requests exceed its limit (`harness.statistics.decide`), so the length that
decides it follows from its rate and from what happens. Four cases are computed: nothing is slow; everything is for a
while (an outage); half the share that the gate allows exceeds its limit; and twice that share does. In the latter two
the slow requests are spread evenly, which is the best case: those that come in spells need longer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from harness.statistics import Counts, Rule, batch_edges, decide

if TYPE_CHECKING:
    from harness.gates.gate import Gate

LONGEST_S: Final = 86_400.0
"""A gate that a whole day does not decide is said to be undecidable at this rate."""
STEP: Final = 1.02
"""Lengths are tried in steps of 2 %, so that a length is at most that much too long."""
SETTLED: Final = 5
"""A length decides only if the next so many lengths do as well: with few slow requests a decision comes and goes."""


@dataclass(frozen=True, slots=True)
class DecisionTimes:
    """Seconds of the gate's phase, over all runs of a pool together. None: not within a day, or not of this kind."""

    healthy_s: float | None
    """Until a PASS if nothing exceeds the limit."""
    outage_s: float | None
    """How long every request of the planned phase must exceed it, at a stretch, so that the gate fails."""
    half_s: float | None
    """Until a PASS if half the share that is allowed exceeds it."""
    twice_s: float | None
    """Until a FAIL if twice the share that is allowed exceeds it."""


def decision_times(
    gate: Gate, *, rate_per_s: float, planned_s: float, clump_ms: float, confidence: float, alpha_fail: float
) -> DecisionTimes:
    """The lengths that decide `gate` at `rate_per_s` requests of its population a second. `planned_s`: of its phase.

    For a gate that is not decided by a share, only `healthy_s` is known: the length before which it never passes.
    """
    share = gate.allowed_share
    if share is None:
        moments = gate.moments(confidence)
        seconds = [moments * clump_ms / 1000, gate.window_needed_ms() / 1000]
        seconds += [moments / rate_per_s] if rate_per_s else []
        return DecisionTimes(max(seconds), None, None, None)
    rule = Rule(p0=share, clump_s=clump_ms / 1000, alpha=round(1 - confidence, 9), alpha_fail=alpha_fail)
    return DecisionTimes(
        healthy_s=least_s(0.0, "pass", rate_per_s, rule),
        outage_s=_outage_s(round(planned_s * rate_per_s), planned_s, rule),
        half_s=least_s(share / 2, "pass", rate_per_s, rule),
        twice_s=least_s(2 * share, "fail", rate_per_s, rule) if 2 * share <= 1 else None,
    )


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


def _outage_s(n: int, planned_s: float, rule: Rule) -> float | None:
    """The shortest stall of a phase of `n` requests that fails the gate: all of its requests are slow, no other is."""
    if n < 1:
        return None
    low, high = 0, n  # a longer stall fails as well, so the shortest is found by halving
    while high - low > 1:
        middle = (low + high) // 2
        slow = np.arange(n) < middle
        if decide(Counts.of(slow), planned_s, rule).verdict == "fail":
            high = middle
        else:
            low = middle
    return high / n * planned_s


def _evenly(n: int, slow_share: float) -> Counts:
    """Batches of `n` arrivals of which the share is slow, as evenly as whole requests allow."""
    edges = batch_edges(n)
    slow = np.floor(edges * slow_share + 1e-9)
    return Counts(np.diff(slow), np.diff(edges).astype(np.float64))
