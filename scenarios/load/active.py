"""When requests may arrive at all: a stage of 0/s, or the end of a request's own stages, leaves a gap. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.rundir.planned.load import PlannedLoad, Stream


def active_intervals(load: PlannedLoad, requests: Sequence[str] = ()) -> tuple[tuple[float, float], ...] | None:
    """When these requests (all, if none is named) may arrive: intervals in ms from t = 0, ascending and apart.

    None where no gap is planned, and where that is unknown: in the closed model and for a recording.
    """
    places = load.places(requests)
    found: list[tuple[float, float]] = []
    for stream in load.streams:
        if not stream.share(places):
            continue
        own = tuple(_active(stream))
        if stream.schedule.replay_ms is not None:
            return None
        if len(own) == 1 and own[0][0] <= stream.schedule.start_ms and own[0][1] >= load.duration_ms:
            return None
        found += own
    joined: list[tuple[float, float]] = []
    for begin_ms, end_ms in sorted(found):
        if joined and begin_ms <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_ms))
        else:
            joined.append((begin_ms, end_ms))
    return tuple(joined) if found else None


def _active(stream: Stream) -> Iterator[tuple[float, float]]:
    """The stretches between the stages of 0/s."""
    schedule = stream.schedule
    begin_ms: float | None = None
    at_ms = schedule.start_ms
    for stage in schedule.stages:
        if not stage.start_per_s and not stage.end_per_s:
            if begin_ms is not None:
                yield begin_ms, at_ms
            begin_ms = None
        elif begin_ms is None:
            begin_ms = at_ms
        at_ms += stage.duration_ms
    if begin_ms is not None:
        yield begin_ms, at_ms
