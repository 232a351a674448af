"""Whom the service named, when, and whether a fault explains it: what notices.ndjson says beside the journal.

A sighting of an upstream is explained by a fault that acted on it then, or shortly before: a request that it held may
fail as late as the load generator waits, and an alert counts from when it was raised. Nothing is judged here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.notice_record import Notice, Source, Unread
from harness.plan import PlannedFault
from harness.results import NamedResult
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.run import Evidence

LOOK_BACK_S: Final = 10.0
"""Before a fault: who is named then, unexplained, is named whether there is a fault or not."""
SAME_PACE: Final = 3.0
"""Up to this many times the lines of before, and three more, a fault has not made a log louder."""
QUIET_S: Final = 5.0
"""A log that was silent for so long at the end has stopped naming somebody."""
SOURCES: Final[tuple[Source, ...]] = ("log", "alert")


@dataclass(frozen=True, slots=True)
class Sighting:
    """An upstream seen named. `since_ns`: of an alert, when it was raised; else `t_ns`."""

    t_ns: int
    since_ns: int
    upstream: str
    source: Source
    lines: int
    text: str


def _time(sighting: Sighting) -> int:
    return sighting.t_ns


@dataclass(frozen=True, slots=True)
class Notices:
    """All of a run's, in order of time. `normal`: when an alert was seen not, or no longer, raised."""

    raised: tuple[Sighting, ...]
    normal: tuple[Notice, ...]
    unread: tuple[Unread, ...]

    @classmethod
    def of(cls, lines: Iterable[Notice | Unread]) -> Notices:
        raised: list[Sighting] = []
        normal: list[Notice] = []
        unread: list[Unread] = []
        since_ns: dict[str, int] = {}
        for line in sorted(lines, key=lambda line: line.t_ns):
            if isinstance(line, Unread):
                unread.append(line)
            elif line.state == "normal":
                normal.append(line)
                since_ns.pop(line.upstream, None)
            else:
                alert = line.source == "alert"
                since = since_ns.setdefault(line.upstream, line.t_ns) if alert else line.t_ns
                raised.append(Sighting(line.t_ns, since, line.upstream, line.source, line.lines, line.text))
        return cls(tuple(raised), tuple(normal), tuple(unread))

    def between(self, begin_ns: int, end_ns: int, upstream: str | None = None) -> list[Sighting]:
        """Who was named from `begin_ns` until before `end_ns`."""
        first = bisect_left(self.raised, begin_ns, key=_time)
        end = bisect_left(self.raised, end_ns, lo=first, key=_time)
        return [s for s in self.raised[first:end] if upstream in (None, s.upstream)]

    def unread_between(self, source: Source, begin_ns: int, end_ns: int) -> Unread | None:
        return next((u for u in self.unread if u.source == source and begin_ns <= u.t_ns < end_ns), None)


def is_explained(run: Evidence, sighting: Sighting) -> bool:
    """Whether a fault acted on the upstream then, or so shortly before that requests it held may only now fail."""
    grace_ns = round(run.plan.load.client_cap_ms * NS_PER_MS)
    return any(
        begin_ns <= moment_ns <= end_ns + grace_ns
        for begin_ns, end_ns in run.injections(sighting.upstream)
        for moment_ns in (sighting.t_ns, sighting.since_ns)
    )


def in_bad_second(run: Evidence, t_ns: int) -> bool:
    """Whether the load generator was late then or in the second before, so that the service was hit by a burst."""
    second = (t_ns - run.t0_ns) // NS_PER_S
    return second in run.bad_seconds or second - 1 in run.bad_seconds


def unprompted(run: Evidence, upstream: str, applied_ns: int) -> list[Sighting]:
    """Who says that the upstream is at fault shortly before it is."""
    assert run.notices is not None
    begin_ns = applied_ns - round(LOOK_BACK_S * NS_PER_S)
    return [s for s in run.notices.between(begin_ns, applied_ns, upstream) if not is_explained(run, s)]


def says_nothing(before: Sequence[Sighting], during: Sequence[Sighting], seconds: float) -> bool:
    """Whether one source named an upstream in the `seconds` of a fault no more than it had `before`, without one."""
    if not before:
        return False
    if before[0].source == "alert":
        return True
    expected = sum(s.lines for s in before) * seconds / LOOK_BACK_S
    return sum(s.lines for s in during) <= SAME_PACE * expected + SAME_PACE


# ---------------------------------------------------------------- afterwards


@dataclass(frozen=True, slots=True)
class Cleared:
    """How one source stopped naming an upstream. `at_ns` None: it had not when the time was over."""

    at_ns: int | None
    last: Sighting | None
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


# ---------------------------------------------------------------- for people


def named_during(run: Evidence, fault: PlannedFault, upstream: str) -> tuple[NamedResult, ...]:
    """Who was named first by whom while `fault` stood on `upstream`: that upstream, and those that were healthy."""
    if run.notices is None:
        return ()
    firsts: dict[tuple[str, Source], tuple[Sighting, float]] = {}
    lines: dict[tuple[str, Source], int] = {}
    for injection in run.journalled:
        if (injection.fault, injection.upstream) != (fault.name, upstream) or injection.applied_ns is None:
            continue
        end_ns = injection.removing_ns if injection.removing_ns is not None else run.end_ns
        for sighting in run.notices.between(injection.applied_ns, end_ns):
            if sighting.upstream == upstream or not is_explained(run, sighting):
                key = sighting.upstream, sighting.source
                firsts.setdefault(key, (sighting, (sighting.t_ns - injection.applied_ns) / NS_PER_MS))
                lines[key] = lines.get(key, 0) + sighting.lines
    return tuple(
        NamedResult(
            upstream=first.upstream,
            source=first.source,
            after_ms=after_ms,
            lines=lines[key],
            text=first.text,
            healthy=first.upstream != upstream,
            cleared_after_ms=_cleared_after_ms(run, fault, first) if first.upstream == upstream else None,
        )
        for key, (first, after_ms) in firsts.items()
    )


def _cleared_after_ms(run: Evidence, fault: PlannedFault, first: Sighting) -> float | None:
    removed = [i.removed_ns for i in run.journalled if (i.fault, i.upstream) == (fault.name, first.upstream)]
    if len(removed) < len(fault.windows) or removed[-1] is None:
        return None
    removed_ns, end_ns = removed[-1], after_end_ns(run, fault.name)
    found = cleared(run, first.upstream, first.source, removed_ns, end_ns)
    if found.at_ns is None or (first.source == "log" and end_ns - found.at_ns < QUIET_S * NS_PER_S):
        return None
    return (found.at_ns - removed_ns) / NS_PER_MS
