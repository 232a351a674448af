"""A quantile with bounds that agree with the gate's decision: order statistics at the gate's design effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evidence import NEVER
from harness.statistics import Counts, Rule, deflation, least_failing, most_passing, nearest_rank, pass_deflation
from harness.units import NS_PER_MS


@dataclass(frozen=True, slots=True)
class Bounds:
    """A quantile of `n` latencies with its bounds, in ms. None: unknown, or infinite because too many failed."""

    n: int
    observed_ms: float | None
    low_ms: float | None
    high_ms: float | None


def quantile_bounds(
    runs: Sequence[NDArray[np.int64]], seconds: float, rule: Rule, *, at_ns: int | None = None
) -> Bounds:
    """The (1 − p0) quantile of all runs' latencies (one array for each run, in order of intended time).

    The design effect is that of the requests at or above `at_ns`, the gate's limit; if it is None, of those at or above
    the quantile itself. The bounds are the order statistics at which `harness.statistics.most_passing` and
    `least_failing`, binomial bounds on the number of exceedances, would turn the verdict.
    """
    latency = runs[0] if len(runs) == 1 else np.concatenate(list(runs) or [np.empty(0, np.int64)])
    n = len(latency)
    if n == 0 or seconds <= 0:
        return Bounds(n, None, None, None)
    if at_ns is None:
        at_ns = int(nearest_rank(latency, [1 - rule.p0])[0])
    spread = deflation(Counts.of(*(run >= at_ns for run in runs)), seconds=seconds, clump_s=rule.clump_s)
    above_high = most_passing(n, pass_deflation(spread, n, seconds, rule.clump_s), rule.p0, rule.alpha)
    above_low = least_failing(n, spread, rule.p0, rule.alpha_fail)
    observed = max(0, int(np.ceil(round((1 - rule.p0) * n, 6))) - 1)
    # in ascending order the j-th largest of n has the index n - j
    high = n - above_high - 1 if 0 <= above_high < n else None
    low = n - above_low if above_low <= n else None
    wanted = sorted({rank for rank in (observed, high, low) if rank is not None})
    parted = np.partition(latency, wanted)
    return Bounds(n, *(None if rank is None else _ms(parted[rank]) for rank in (observed, low, high)))


def _ms(latency_ns: Any) -> float | None:
    return None if latency_ns == NEVER else int(latency_ns) / NS_PER_MS
