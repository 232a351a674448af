"""Poisson arrivals: independent, with exponential gaps, as from many independent users.

The draws come from `Random.random`, whose sequence Python guarantees for an integer seed. So a run of one version can
be judged by another.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import log1p
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def unit_times(seed: int) -> Iterator[float]:
    """Arrival times of a Poisson process of rate one per unit; endless."""
    draw = Random(seed).random
    at = 0.0
    while True:
        at -= log1p(-draw())
        yield at


def unit_time_blocks(seed: int, count: int) -> Iterator[NDArray[np.float64]]:
    """The times of `unit_times`, to the last bit, in arrays of `count` each; endless.

    The generator of numpy takes over the state of Python's and draws the same numbers by the same formula. The
    logarithm stays that of the C library: numpy's own is another on processors with AVX-512, and its last bit may
    differ. Running sums are added up in order, as `unit_times` does.
    """
    import numpy as np

    *key, position = Random(seed).getstate()[1]
    draws = np.random.RandomState()
    draws.set_state(("MT19937", np.array(key, dtype=np.uint32), position, 0, 0.0))
    at = 0.0
    while True:
        steps = np.fromiter(chain((at,), map(log1p, (-draws.random_sample(count)).tolist())), np.float64, count + 1)
        np.negative(steps[1:], out=steps[1:])
        times = np.cumsum(steps)[1:]
        at = float(times[-1])
        yield times
