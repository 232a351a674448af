"""Whether a service kept up with its load, or a queue grew that the load was too short to show. Pure.

At 1.5 times what a service carries, 60 s of load make a queue of 20 s, which a gateway timeout of 30 s would hide: the
load would pass. So a rate counts as carried only if the load was stationary. No gate says that, and nothing switches it
off.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

BATCHES: Final = 12
"""The last two thirds of the window are cut into as many stretches; the mean number in flight is taken in each."""
CONFIDENCE: Final = 0.95
RISE_LEAST: Final = 0.1
"""A rise below this share of the mean number in flight is no queue, however sure it is."""
SIGMAS: Final = 2.6
"""A difference of numbers in flight below so many standard deviations is chance."""
COMPLETED_LEAST: Final = 0.99
"""Of the arrivals of the window's last half, the share that must have ended in it."""


def not_stationary(
    intended_ns: NDArray[np.int64], done_ns: NDArray[np.int64], begin_ns: int, end_ns: int, *, unfinished: int
) -> str | None:
    """Why the load of [begin, end) was not stationary, as a clause; None if nothing shows that.

    `intended_ns`, `done_ns`: of every request of the load, warm-up included, shape (requests,). `unfinished`: how many
    were still open when the drain ended.
    """
    if unfinished:
        return f"{unfinished:,} requests were still open when the drain ended"
    intended, done = np.sort(intended_ns), np.sort(done_ns)
    begin = begin_ns + (end_ns - begin_ns) // 3
    in_flight = _means_in_flight(intended, done, begin, end_ns)
    rise = _rise(in_flight)
    if rise is not None:
        return f"requests in flight still rose at the end, from {in_flight[0]:.0f} to {in_flight[-1]:.0f}"
    half = (begin_ns + end_ns) // 2
    arrived, ended = (np.diff(np.searchsorted(times, (half, end_ns)))[0] for times in (intended, done))
    # the difference is that of the numbers in flight at both ends, each of which varies as a Poisson count does
    noise = SIGMAS * math.sqrt(max(1.0, _in_flight(intended, done, half) + _in_flight(intended, done, end_ns)))
    if arrived and ended < COMPLETED_LEAST * arrived and arrived - ended > noise:
        return f"{ended:,} requests ended in the last half of the load, and {arrived:,} arrived"
    return None


def mean_in_flight(intended_ns: NDArray[np.int64], done_ns: NDArray[np.int64], begin_ns: int, end_ns: int) -> float:
    """The mean number of open requests in [begin, end): the time they were open in it, added up, by its length."""
    if end_ns <= begin_ns:
        return 0.0
    open_ns = np.minimum(done_ns, end_ns) - np.maximum(intended_ns, begin_ns)
    return float(np.maximum(open_ns, 0).sum() / (end_ns - begin_ns))


def _means_in_flight(intended: NDArray[Any], done: NDArray[Any], begin_ns: int, end_ns: int) -> NDArray[np.float64]:
    edges = np.linspace(begin_ns, end_ns, BATCHES * 50 + 1)
    counts = np.searchsorted(intended, edges[:-1], "right") - np.searchsorted(done, edges[:-1], "right")
    means: NDArray[np.float64] = counts.reshape(BATCHES, -1).mean(axis=1)
    return means


def _in_flight(intended: NDArray[Any], done: NDArray[Any], at_ns: int) -> int:
    return int(np.searchsorted(intended, at_ns, "right") - np.searchsorted(done, at_ns, "right"))


def _rise(means: NDArray[np.float64]) -> float | None:
    """By how much a straight line through the means rises; None if that is not sure, or too little to be a queue.

    The slope's one-sided t test (n - 2 degrees of freedom). Neighbouring means are not independent, so the rise must
    also exceed `SIGMAS` standard deviations of a Poisson count of that mean.
    """
    x = np.arange(len(means)) - (len(means) - 1) / 2
    slope = float((x * means).sum() / (x * x).sum())
    rest = means - means.mean() - slope * x
    error = math.sqrt(float((rest * rest).sum()) / (len(means) - 2) / float((x * x).sum()))
    rise = slope * (len(means) - 1)
    least = max(RISE_LEAST * means.mean(), SIGMAS * math.sqrt(max(means.mean(), 1.0)))
    if rise <= least or slope <= float(stdtrit(len(means) - 2, CONFIDENCE)) * error:
        return None
    return rise
