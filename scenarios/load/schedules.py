"""One schedule: when its requests arrive, and its rate. Pure functions of the schedule and a seed."""

from __future__ import annotations

from array import array
from typing import Final

from harness.rundir.planned.load import Schedule
from scenarios.load import constant, poisson, replay, stages

SPACINGS: Final = {"constant": constant, "poisson": poisson}
MANY: Final = 200_000
"""From so many arrivals on, an import of numpy takes less time than it saves."""


def arrivals_ns(schedule: Schedule, seed: int) -> array[int]:
    """Every arrival of one schedule in ascending nanoseconds from t = 0 (warm-up negative); entry N is arrival N.

    A stage includes its start and excludes its end, so all are within [start_ms, start_ms + length of the stages).
    """
    if schedule.replay_ms is not None:
        return replay.arrivals_ns(schedule.replay_ms)
    spacing = SPACINGS[schedule.arrivals]
    if sum(map(stages.expected, schedule.stages)) < MANY:
        return stages.arrivals_ns(schedule.stages, schedule.start_ms, spacing.unit_times(seed))
    blocks = spacing.unit_time_blocks(seed, stages.BLOCK)
    return stages.many_arrivals_ns(schedule.stages, schedule.start_ms, blocks)


def peak_rate_per_s(schedule: Schedule) -> float:
    """The highest planned rate, arrivals per second."""
    if schedule.replay_ms is not None:
        return replay.peak_rate_per_s(schedule.replay_ms)
    return stages.peak_rate_per_s(schedule.stages)


def rate_at(schedule: Schedule, at_ms: float) -> float:
    """The planned rate at `at_ms` (ms from t = 0), arrivals per second."""
    if schedule.replay_ms is not None:
        return replay.rate_at(schedule.replay_ms, at_ms)
    return stages.rate_at(schedule.stages, schedule.start_ms, at_ms)
