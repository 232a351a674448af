"""The normal answer times of one backend: a histogram that forgets old answers, and the limit that follows from it.

Quantiles of a histogram assume no shape: a backend whose every tenth answer takes ten times as long is normal that way.
Buckets 10 % apart are fine enough to notice an answer time that doubles. There is no limit before enough answers have
been seen.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Final

ANSWERS_TO_LEARN: Final = 30
"""With fewer answers there is no median and no limit."""
MEMORY: Final = 2000
"""At this many answers all counts are halved, so that older answers weigh less."""
SLOWER_AT_LEAST: Final = 2.0
"""The limit is at least this many medians: less is ordinary variation."""
SLOWER_AT_MOST: Final = 5.0
"""The p95 raises the limit to at most this many medians."""
LATER_AT_LEAST_S: Final = 0.05
"""The limit is at least this far above the median: a pause of this process must not look like a fault of a backend that
answers in 2 ms."""

_STEP: Final = math.log(1.1)
_SHORTEST_S: Final = 0.001
_STEPS: Final = 145
"""From 1 ms to 1,000 s."""
_REFRESH: Final = 10
"""Answers between two computations of the quantiles, which walk over all buckets."""


class Baseline:
    """`median_s` and `limit_s` are None until enough answers were learned. Pure; bounded memory; O(1) per answer."""

    def __init__(self) -> None:
        self._counts = [0.0] * _STEPS
        self._total = 0.0
        self._fresh = 0
        self.median_s: float | None = None
        self.limit_s: float | None = None
        """A call that takes longer is slow."""

    def learn(self, elapsed_s: float) -> None:
        """Add the time of one answer. The caller leaves out those that came during a fault."""
        step = int(math.log(max(elapsed_s, _SHORTEST_S) / _SHORTEST_S) / _STEP)
        self._counts[min(step, _STEPS - 1)] += 1
        self._total += 1
        self._fresh += 1
        if self._total >= MEMORY:
            self._counts = [count / 2 for count in self._counts]
            self._total /= 2
        if self._total >= ANSWERS_TO_LEARN and (self._fresh >= _REFRESH or self.limit_s is None):
            self._fresh = 0
            self.median_s = median_s = self._quantile_s(0.5)
            tail_s = min(self._quantile_s(0.95), SLOWER_AT_MOST * median_s)
            self.limit_s = max(SLOWER_AT_LEAST * median_s, median_s + LATER_AT_LEAST_S, tail_s)

    def _quantile_s(self, share: float) -> float:
        """The quantile, as the middle of its bucket."""
        up_to = accumulate(self._counts)
        step = next(step for step, seen in enumerate(up_to) if seen >= share * self._total)
        return _SHORTEST_S * math.exp((step + 0.5) * _STEP)
