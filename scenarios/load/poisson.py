"""Poisson arrivals: independent, with exponential gaps, as from many independent users.

The draws come from `Random.random`, whose sequence Python guarantees for an integer seed. So a run of one version can
be judged by another.
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
