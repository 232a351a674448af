"""Independent arrivals: exponential gaps, as from many users who do not know of one another.

The draws come from `Random.random`, whose stream Python promises to keep for an integer seed, so a
run made by one version can be judged by another.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log1p
from random import Random


def unit_times(seed: int) -> Iterator[float]:
    """Arrival times of a Poisson process of rate one per unit; endless."""
    draw = Random(seed).random
    at = 0.0
    while True:
        at -= log1p(-draw())
        yield at
