"""Replay: the arrivals are the recorded ones, in order, whatever the seed."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

from harness.units import NS_PER_MS

WINDOW_MS = 1000.0
"""A recording has no rate; it is computed as the arrivals within one second."""


def arrivals_ns(replay_ms: Sequence[float]) -> array[int]:
    return array("q", sorted(int(at_ms * NS_PER_MS) for at_ms in replay_ms))


def peak_rate_per_s(replay_ms: Sequence[float]) -> float:
    """The most arrivals in any one second."""
    times_ms = sorted(replay_ms)
    most = 0
    first = 0
    for last, at_ms in enumerate(times_ms):
        while times_ms[first] <= at_ms - WINDOW_MS:
            first += 1
        most = max(most, last - first + 1)
    return most / (WINDOW_MS / 1000)


def rate_at(replay_ms: Sequence[float], at_ms: float) -> float:
    """Arrivals per second in the second around `at_ms`."""
    times_ms = sorted(replay_ms)
    count = bisect_left(times_ms, at_ms + WINDOW_MS / 2) - bisect_left(times_ms, at_ms - WINDOW_MS / 2)
    return count / (WINDOW_MS / 1000)
