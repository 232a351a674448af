"""Recorded latencies as a few points of their distribution, few enough for a plan. Pure; opens no file."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

Points = tuple[tuple[float, float], ...]
"""(share of answers, milliseconds that these take at most), both rising, with straight lines between them."""

POINTS_MAX: Final = 300
EVEN_STEPS: Final = 200
"""A long recording is kept at every half percent."""
TAIL_STEPS: Final = 20
"""The slowest half percent of a long recording is kept at this many points per factor of ten, because gates judge the
tail."""
_DIGITS: Final = 4  # tenths of a microsecond


def points_of(latencies_ms: Sequence[float]) -> Points:
    """Every value of a short recording, or at most `POINTS_MAX` quantiles of a longer one. Raises ValueError if it is
    empty."""
    if not latencies_ms:
        raise ValueError("a recording without a latency has no distribution")
    ordered = sorted(latencies_ms)
    last = len(ordered) - 1
    if last < POINTS_MAX:
        return tuple((rank / max(1, last), round(value_ms, _DIGITS)) for rank, value_ms in enumerate(ordered))
    return tuple((share, round(_quantile(ordered, share), _DIGITS)) for share in _shares(last))


def value_at(points: Points, share: float) -> float:
    """The quantile in milliseconds, interpolated; 0 if there are no points. Never falls as `share` rises."""
    above = bisect_right(points, (share, math.inf))
    if above in (0, len(points)):
        return points[min(above, len(points) - 1)][1] if points else 0.0
    (low, low_ms), (high, high_ms) = points[above - 1], points[above]
    return min(high_ms, low_ms + (high_ms - low_ms) * (share - low) / (high - low))


def _quantile(ordered: Sequence[float], share: float) -> float:
    rank = int(share * (len(ordered) - 1))
    beyond = share * (len(ordered) - 1) - rank
    above = ordered[min(rank + 1, len(ordered) - 1)]
    return ordered[rank] + (above - ordered[rank]) * beyond


def _shares(last: int) -> Iterator[float]:
    """Shares to keep of `last` + 1 values, rising from 0 to 1. None lies beyond the second largest value, except 1
    itself."""
    yield from (step / EVEN_STEPS for step in range(EVEN_STEPS))
    step = 1
    while (rest := 10 ** (-step / TAIL_STEPS) / EVEN_STEPS) > 1 / last:
        yield 1 - rest
        step += 1
    yield 1.0
