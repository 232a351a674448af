"""How many arrivals a plan has in a phase. Pure; `scenarios.load` draws the arrivals themselves."""

from __future__ import annotations

from collections.abc import Sequence

from harness.rundir.phases import Phase
from harness.rundir.planned.load import PlannedLoad, Schedule


def expected_arrivals(load: PlannedLoad, phase: Phase, requests: Sequence[str] = ()) -> float:
    """The mean number of arrivals in a phase; the exact number for a recording. 0 in the closed model.

    `requests`: only the arrivals that send one of these, by their names.
    """
    places = load.places(requests)
    return sum(scheduled_arrivals(stream.schedule, phase) * stream.share(places) for stream in load.streams)


def scheduled_arrivals(schedule: Schedule, phase: Phase) -> float:
    """The same, of one schedule."""
    if schedule.replay_ms is not None:
        return sum(start <= at_ms < end for at_ms in schedule.replay_ms for start, end in phase.intervals)
    total = 0.0
    for start_ms, end_ms in phase.intervals:
        begins_ms = schedule.start_ms
        for stage in schedule.stages:
            low = max(start_ms, begins_ms) - begins_ms
            high = min(end_ms, begins_ms + stage.duration_ms) - begins_ms
            if high > low:
                slope = (stage.end_per_s - stage.start_per_s) / stage.duration_ms
                mean_per_s = stage.start_per_s + slope * (low + high) / 2
                total += mean_per_s * (high - low) / 1000
            begins_ms += stage.duration_ms
    return total
