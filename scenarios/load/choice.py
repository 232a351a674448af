"""Which of several weighted requests arrival `seq` sends: a hash of seed and seq.

It is not drawn in order, so any worker and the judge get the same result for an arrival without the arrivals before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


def request_indices(seed: int, seqs: NDArray[np.integer], weights: Sequence[int]) -> NDArray[np.int64]:
    """`request_index` of each of these numbers, which are not negative; an array of the same shape."""
    import numpy as np

    bounds = _bounds(tuple(weights))
    if len(bounds) == 1 and bounds[-1] > 0:
        return np.zeros(len(seqs), np.int64)
    if not bounds or not 0 < bounds[-1] < 2**32:  # beyond, the product below does not fit into 96 bits
        return np.array([request_index(seed, int(seq), weights) for seq in seqs], np.int64)
    number = seqs.astype(np.uint64) ^ np.uint64(_mixed(seed & _MASK))
    number += np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ number >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ number >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    number ^= number >> np.uint64(31)
    total, half = np.uint64(bounds[-1]), np.uint64(32)
    point = ((number >> half) * total + ((number & np.uint64(2**32 - 1)) * total >> half)) >> half
    return np.searchsorted(np.array(bounds, np.uint64), point, side="right")


@lru_cache(maxsize=64)
def _bounds(weights: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(accumulate(weights))


def _mixed(number: int) -> int:
    """One step of splitmix64 (Steele, Lea, Flood 2014): 64 well mixed bits."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ number >> 27) * 0x94D049BB133111EB) & _MASK
    return number ^ number >> 31
