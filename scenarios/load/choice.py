"""Which of several weighted requests arrival `seq` sends: a hash of seed and seq.

It is not drawn in order, so any worker and the judge get the same result for an arrival without the arrivals before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

_MASK = 2**64 - 1


def request_index(seed: int, seq: int, weights: Sequence[int]) -> int:
    """An index into `weights`, with probabilities in proportion to them. Raises ValueError if they sum to 0."""
    bounds = _bounds(tuple(weights))
    if not bounds or bounds[-1] <= 0:
        raise ValueError("weights must sum to more than 0")
    if len(bounds) == 1:
        return 0
    point = _mixed(_mixed(seed & _MASK) ^ (seq & _MASK)) * bounds[-1] >> 64
    return next(index for index, bound in enumerate(bounds) if point < bound)


@lru_cache(maxsize=64)
def _bounds(weights: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(accumulate(weights))


def _mixed(number: int) -> int:
    """One step of splitmix64 (Steele, Lea, Flood 2014): 64 well mixed bits."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ number >> 27) * 0x94D049BB133111EB) & _MASK
    return number ^ number >> 31
