"""Whom the service named, when, and whether a fault explains it: what notices.ndjson says beside the journal.

A sighting of an upstream is explained by a fault that acted on it then, or shortly before: a request that it held may
fail as late as the load generator waits, and an alert counts from when it was raised. Nothing is judged here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.rundir.detections import Detection, LogGap, Mention, Recorded, Source
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.run import Evidence

SOURCES: Final[tuple[Source, ...]] = ("log", "alert")


@dataclass(frozen=True, slots=True)
class TimedDetection:
    """An upstream seen named. `since_ns`: of an alert, when it was raised; else `t_ns`."""

    t_ns: int
    since_ns: int
    upstream: str
    source: Source
    lines: int
    text: str


def _time(sighting: TimedDetection) -> int:
    return sighting.t_ns


@dataclass(frozen=True, slots=True)
class Detections:
    """All of a run's, in order of time. `normal`: when an alert was seen not, or no longer, raised."""

    raised: tuple[TimedDetection, ...]
    normal: tuple[Detection, ...]
    unread: tuple[LogGap, ...]
    unheeded: tuple[Mention, ...] = ()

    @classmethod
    def of(cls, lines: Iterable[Recorded]) -> Detections:
        """Of sightings that are one line the first is here and the last, each at its time."""
        raised: list[TimedDetection] = []
        normal: list[Detection] = []
        unread: list[LogGap] = []
        unheeded: list[Mention] = []
        since_ns: dict[str, int] = {}
        for line in sorted(lines, key=lambda line: line.t_ns):
            if isinstance(line, LogGap):
                unread.append(line)
            elif isinstance(line, Mention):
                unheeded.append(line)
            elif line.state == "normal":
                normal.append(line)
                since_ns.pop(line.upstream, None)
            else:
                alert = line.source == "alert"
                last_ns = line.until_ns if line.until_ns is not None and line.lines > 1 else None
                first_lines = line.lines if last_ns is None else line.lines - 1
                for t_ns, count in ((line.t_ns, first_lines), (last_ns, 1)):
                    if t_ns is not None:
                        begin_ns = since_ns.setdefault(line.upstream, t_ns) if alert else t_ns
                        raised.append(TimedDetection(t_ns, begin_ns, line.upstream, line.source, count, line.text))
        return cls(tuple(sorted(raised, key=_time)), tuple(normal), tuple(unread), tuple(unheeded))

    def between(self, begin_ns: int, end_ns: int, upstream: str | None = None) -> list[TimedDetection]:
        """Who was named from `begin_ns` until before `end_ns`."""
        first = bisect_left(self.raised, begin_ns, key=_time)
        end = bisect_left(self.raised, end_ns, lo=first, key=_time)
        return [s for s in self.raised[first:end] if upstream in (None, s.upstream)]

    def unread_between(self, source: Source, begin_ns: int, end_ns: int) -> LogGap | None:
        """What of a source could not be read that may have been said from `begin_ns` until before `end_ns`."""
        return next(
            (
                u
                for u in self.unread
                if u.source == source and u.t_ns >= begin_ns and (u.t_ns if u.since_ns is None else u.since_ns) < end_ns
            ),
            None,
        )

    @property
    def alert_was_never_seen(self) -> bool:
        """No answer ever held a sample about an upstream, raised or not."""
        return not self.normal and not any(s.source == "alert" for s in self.raised)


def silent_alert(run: Evidence) -> str:
    """What is wrong with the service's alert, where one is given and it never said anything of anybody."""
    metric = run.plan.service.alerts_metric
    if run.notices is None or metric is None or not run.notices.alert_was_never_seen:
        return ""
    lost = next((f" ({u.text})" for u in run.notices.unread if u.source == "alert"), "")
    return f"`{metric}` never had a sample with an upstream's name as a label{lost}"


def unread_by(run: Evidence, source: Source, begin_ns: int, end_ns: int) -> str:
    """Why nobody can say that a source named nobody then; empty where all was read. An alert that never said anything
    is no witness at all, so nothing of it is missing."""
    assert run.notices is not None
    lost = run.notices.unread_between(source, begin_ns, end_ns)
    if lost is None or (source == "alert" and run.notices.alert_was_never_seen):
        return ""
    return f"a part of the service's log could not be read in time: {lost.text}" if source == "log" else lost.text


def coverage(run: Evidence, upstream: str) -> list[tuple[int, int]]:
    """When a fault may explain that an upstream is named: as long as it acts, and until requests that it held fail."""
    grace_ns = round(run.plan.load.client_cap_ms * NS_PER_MS)
    return [(begin_ns, end_ns + grace_ns) for begin_ns, end_ns in run.injections(upstream)]


def is_explained(run: Evidence, sighting: TimedDetection) -> bool:
    """Whether a fault acted on the upstream then, or so shortly before that requests it held may only now fail."""
    return any(
        begin_ns <= moment_ns <= end_ns
        for begin_ns, end_ns in coverage(run, sighting.upstream)
        for moment_ns in (sighting.t_ns, sighting.since_ns)
    )


def in_bad_second(run: Evidence, t_ns: int) -> bool:
    """Whether the load generator was late then or in the second before, so that the service was hit by a burst."""
    second = (t_ns - run.t0_ns) // NS_PER_S
    return second in run.bad_seconds or second - 1 in run.bad_seconds


# ---------------------------------------------------------------- afterwards


@dataclass(frozen=True, slots=True)
class Cleared:
    """How one source stopped naming an upstream. `at_ns` None: it had not when the time was over."""

    at_ns: int | None
    last: TimedDetection | None
    """The last after the removal."""


def cleared(run: Evidence, upstream: str, source: Source, removed_ns: int, end_ns: int) -> Cleared:
    """When, between a fault's removal and `end_ns`, it was named for the last time; of an alert, when it was normal."""
    assert run.notices is not None
    seen = [s for s in run.notices.between(0, end_ns, upstream) if s.source == source]
    after = [s for s in seen if s.t_ns >= removed_ns and not in_bad_second(run, s.t_ns)]
    last = after[-1] if after else None
    if source == "log" or not seen:
        return Cleared(last.t_ns if last else removed_ns, last)
    normal_ns = [n.t_ns for n in run.notices.normal if n.upstream == upstream and seen[-1].t_ns < n.t_ns < end_ns]
    return Cleared(max(removed_ns, normal_ns[0]) if normal_ns else None, seen[-1])


def after_end_ns(run: Evidence, fault: str) -> int:
    """Until when what follows a fault can be watched: the next guard, the load's end, or its stop."""
    end_ns = run.t0_ns + round(run.phase(f"after {fault}").end_ms * NS_PER_MS)
    return end_ns if run.stop_ns is None else min(end_ns, run.stop_ns)
