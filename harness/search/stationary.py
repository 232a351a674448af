"""Whether a service kept up with its load, or a queue grew that the load was too short to show. Pure.

At 1.5 times what a service carries, 60 s of load make a queue of 20 s, which a gateway timeout of 30 s would hide: the
load would pass. So a rate counts as carried only if the load was stationary. No gate says that, and nothing switches it
off.

One healthy load in a hundred looks like a growing queue by chance, and a search has a dozen loads. So what exceeds
chance by little is not sure: it needs a second load that shows the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

BATCHES: Final = 12
"""The last two thirds of the window are cut into as many stretches; the mean number in flight is taken in each."""
READINGS: Final = 50
"""In each stretch."""
CONFIDENCE: Final = 0.95
RISE_LEAST: Final = 0.1
"""A rise below this share of the mean number in flight is no queue, however sure it is."""
SIGMAS: Final = 2.6
"""A difference of numbers in flight below so many standard deviations is chance. They vary as Poisson counts do, or by
more where requests wait together, as those that share one slow call."""
SURE: Final = 2.0
"""What exceeds chance by this factor is no chance."""
COMPLETED_LEAST: Final = 0.99
"""Of the arrivals of the window's last half, the share that must have ended in it."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Why a load was not stationary, as a clause. `is_sure`: false: it may still be chance."""

    reason: str
    is_sure: bool


def not_stationary(
    intended_ns: NDArray[np.int64], done_ns: NDArray[np.int64], begin_ns: int, end_ns: int, *, unfinished: int
) -> Queue | None:
    """The queue that grew in the load of [begin, end); None if nothing shows one.

    `intended_ns`, `done_ns`: of every request of the load, warm-up included, shape (requests,). `unfinished`: how many
    were still open when the drain ended.
    """
    if unfinished:
        return Queue(f"{unfinished:,} requests were still open when the drain ended", is_sure=True)
    intended, done = np.sort(intended_ns), np.sort(done_ns)
    begin = begin_ns + (end_ns - begin_ns) // 3
    in_flight = _in_flight_over(intended, done, begin, end_ns)
    rise, spread = _line(in_flight)
    means = in_flight.reshape(BATCHES, -1).mean(axis=1)
    apart = (end_ns - begin) / max(_open_ns(in_flight, intended, begin, end_ns), 1.0)
    if beyond := _rise_beyond_chance(means, rise, spread, apart):
        reason = f"requests in flight still rose at the end, from {means[0]:.0f} to {means[-1]:.0f}"
        return Queue(reason, is_sure=beyond > SURE)
    half = (begin_ns + end_ns) // 2
    arrived, ended = (int(np.diff(np.searchsorted(times, (half, end_ns)))[0]) for times in (intended, done))
    # the difference is that of the numbers in flight at both ends
    poisson = math.sqrt(max(1.0, _in_flight(intended, done, half) + _in_flight(intended, done, end_ns)))
    beyond = (arrived - ended) / (SIGMAS * max(poisson, math.sqrt(2) * spread))
    if arrived and ended < COMPLETED_LEAST * arrived and beyond > 1:
        reason = f"{ended:,} requests ended in the last half of the load, and {arrived:,} arrived"
        return Queue(reason, is_sure=beyond > SURE)
    return None


def mean_in_flight(intended_ns: NDArray[np.int64], done_ns: NDArray[np.int64], begin_ns: int, end_ns: int) -> float:
    """The mean number of open requests in [begin, end): the time they were open in it, added up, by its length."""
    if end_ns <= begin_ns:
        return 0.0
    open_ns = np.minimum(done_ns, end_ns) - np.maximum(intended_ns, begin_ns)
    return float(np.maximum(open_ns, 0).sum() / (end_ns - begin_ns))


def _in_flight_over(intended: NDArray[Any], done: NDArray[Any], begin_ns: int, end_ns: int) -> NDArray[np.float64]:
    """How many requests were open at `BATCHES * READINGS` moments of [begin, end)."""
    moments = np.linspace(begin_ns, end_ns, BATCHES * READINGS + 1)[:-1]
    counts = np.searchsorted(intended, moments, "right") - np.searchsorted(done, moments, "right")
    return counts.astype(np.float64)


def _in_flight(intended: NDArray[Any], done: NDArray[Any], at_ns: int) -> int:
    return int(np.searchsorted(intended, at_ns, "right") - np.searchsorted(done, at_ns, "right"))


def _line(values: NDArray[np.float64]) -> tuple[float, float]:
    """The straight line through values at equal distances: how much it rises from the first to the last, and the
    standard deviation of the values about it."""
    x = np.linspace(-0.5, 0.5, len(values))
    slope = float((x * values).sum() / (x * x).sum())
    return slope, float((values - values.mean() - slope * x).std())


def _open_ns(in_flight: NDArray[np.float64], intended: NDArray[Any], begin_ns: int, end_ns: int) -> float:
    """How long a request is open, by Little's law: the mean number in flight by the rate of arrivals."""
    arrived = int(np.diff(np.searchsorted(intended, (begin_ns, end_ns)))[0])
    return float(in_flight.mean()) * (end_ns - begin_ns) / max(arrived, 1)


def _rise_beyond_chance(means: NDArray[np.float64], rise: float, spread: float, apart: float) -> float:
    """The rise of requests in flight, in units of what chance may do; 0 if it is not sure, or too little to be a queue.

    The slope's one-sided t test over the means of the stretches (n - 2 degrees of freedom). Neighbouring means are not
    independent, so the rise must also exceed `SIGMAS` standard deviations: of single readings, or of the rise of a line
    through `apart` independent ones, which is sqrt(12 / apart) times as much, whichever is more. Numbers in flight are
    independent once all requests of the one have ended at the other.
    """
    slope, spread_of_means = _line(means)
    x = np.linspace(-0.5, 0.5, len(means))
    error = spread_of_means * math.sqrt(len(means) / (len(means) - 2) / float((x * x).sum()))
    deviation = max(math.sqrt(max(means.mean(), 1.0)), spread) * max(1.0, math.sqrt(12 / apart))
    least = max(RISE_LEAST * means.mean(), SIGMAS * deviation)
    if rise <= least or slope <= float(stdtrit(len(means) - 2, CONFIDENCE)) * error:
        return 0.0
    return float(rise / least)
