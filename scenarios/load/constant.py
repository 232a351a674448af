"""Even spacing: the k-th arrival is at the time when the integrated rate reaches k, the first at the start."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def unit_times(_seed: int) -> Iterator[float]:
    """Arrival times at a rate of one per unit; `stages.arrivals_ns` transforms them to the planned rate."""
    return map(float, count())


def unit_time_blocks(_seed: int, length: int) -> Iterator[NDArray[np.float64]]:
    """The same times in arrays of `length` each; endless."""
    import numpy as np

    return (np.arange(first, first + length, dtype=np.float64) for first in count(0, length))
