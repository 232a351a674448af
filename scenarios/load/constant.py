"""Even spacing: the k-th arrival is at the time when the integrated rate reaches k, the first at the start."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count


def unit_times(_seed: int) -> Iterator[float]:
    """Arrival times at a rate of one per unit; `stages.arrivals_ns` transforms them to the planned rate."""
    return map(float, count())
