"""What is normal for one backend: a histogram of its answer times that forgets, and the limit that follows from it.

Quantiles of a histogram need no assumption about the shape: a backend whose every tenth answer takes ten
times as long is normal that way. Steps of 10 % are fine enough to tell twice as slow from as ever. It
refuses to say anything before it has seen enough.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Final

ANSWERS_TO_LEARN: Final = 30
"""Before that there is no normal."""
MEMORY: Final = 2000
"""So many answers are remembered in full; then all count half, and half as many come on top."""
SLOWER_AT_LEAST: Final = 2.0
"""Times its median: less is a mood, not a fault."""
SLOWER_AT_MOST: Final = 5.0
"""Times its median: more is a fault, however long its tail."""
LATER_AT_LEAST_S: Final = 0.05
"""Above its median: a pause of our own process must not look like a fault of one that answers in 2 ms."""

_STEP: Final = math.log(1.1)
_SHORTEST_S: Final = 0.001
_STEPS: Final = 145
"""From 1 ms to 1,000 s."""
_REFRESH: Final = 10
"""Answers between two looks at the quantiles: they are a walk over all steps."""


class Baseline:
    """`median_s` and `limit_s` are None until it has learned enough. Pure; bounded memory; O(1) an answer."""

    def __init__(self) -> None:
        self._counts = [0.0] * _STEPS
        self._total = 0.0
        self._fresh = 0
        self.median_s: float | None = None
        self.limit_s: float | None = None
        """A call that takes longer is slow."""

    def learn(self, elapsed_s: float) -> None:
        """From an answer that was as it should be; the caller knows."""
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
        """The middle of the step in which it lies."""
        up_to = accumulate(self._counts)
        step = next(step for step, seen in enumerate(up_to) if seen >= share * self._total)
        return _SHORTEST_S * math.exp((step + 0.5) * _STEP)
