"""The detections in notices.ndjson: which upstream the service named, when, and whether a fault explains it.

A detection is explained by a fault that acted on the upstream at that time or shortly before: a request that the fault
held may fail as late as the load generator waits, and an alert is dated back to when it was raised. Nothing is judged
here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.rundir.detections import Detection, DetectionGap, Mention, Recorded, Source
from harness.units import NS_PER_MS, NS_PER_S, Span

if TYPE_CHECKING:
    from harness.evidence.run import Evidence

SOURCES: Final[tuple[Source, ...]] = ("log", "alert")


@dataclass(frozen=True, slots=True)
class TimedDetection:
    """One detection of an upstream. `since_ns`: when the alert was raised; for a log line the same as `t_ns`. `lines`:
    how many lines of the log it stands for."""

    t_ns: int
    since_ns: int
    upstream: str
    source: Source
    lines: int
    text: str


def _time(detection: TimedDetection) -> int:
    return detection.t_ns


@dataclass(frozen=True, slots=True)
class Detections:
    """All that a run recorded, each in order of time.

    `raised`: upstreams named by log or alert. `normal`: observations that an alert is not, or no longer, raised.
    `gaps`: what of log and alert could not be read. `mentions`: log lines that contain a name and do not count.
    """

    raised: tuple[TimedDetection, ...]
    normal: tuple[Detection, ...]
    gaps: tuple[DetectionGap, ...]
    mentions: tuple[Mention, ...] = ()

    @classmethod
    def of(cls, lines: Iterable[Recorded]) -> Detections:
        """From the records of notices.ndjson.

        A record that stands for several lines becomes two detections: one at the time of the first line, which counts
        all lines but the last, and one at the time of the last. `since_ns` of an alert is the time of its first
        detection since it was last normal.
        """
        raised: list[TimedDetection] = []
        normal: list[Detection] = []
        gaps: list[DetectionGap] = []
        mentions: list[Mention] = []
        since_ns: dict[str, int] = {}
        for line in sorted(lines, key=lambda line: line.t_ns):
            if isinstance(line, DetectionGap):
                gaps.append(line)
            elif isinstance(line, Mention):
                mentions.append(line)
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
        return cls(tuple(sorted(raised, key=_time)), tuple(normal), tuple(gaps), tuple(mentions))

    def between(self, begin_ns: int, end_ns: int, upstream: str | None = None) -> list[TimedDetection]:
        """The detections in [begin_ns, end_ns), of all upstreams or of one."""
        first = bisect_left(self.raised, begin_ns, key=_time)
        end = bisect_left(self.raised, end_ns, lo=first, key=_time)
        return [d for d in self.raised[first:end] if upstream in (None, d.upstream)]

    def gap_between(self, source: Source, begin_ns: int, end_ns: int) -> DetectionGap | None:
        """The first gap in a source that may hide a detection in [begin_ns, end_ns); None if there is none."""
        return next(
            (
                u
                for u in self.gaps
                if u.source == source and u.t_ns >= begin_ns and (u.t_ns if u.since_ns is None else u.since_ns) < end_ns
            ),
            None,
        )

    @property
    def alert_was_never_seen(self) -> bool:
        """Whether no answer of the metrics endpoint had a sample of any upstream's alert, raised or not."""
        return not self.normal and not any(d.source == "alert" for d in self.raised)


def silent_alert(run: Evidence) -> str:
    """A clause on an alert that the scenario gives and that never had a sample of any upstream; else empty."""
    metric = run.plan.service.alerts_metric
    if run.detections is None or metric is None or not run.detections.alert_was_never_seen:
        return ""
    lost = next((f" ({u.text})" for u in run.detections.gaps if u.source == "alert"), "")
    return f"`{metric}` never had a sample with an upstream's name as a label{lost}"


def unread_by(run: Evidence, source: Source, begin_ns: int, end_ns: int) -> str:
    """Why it is unknown whether a source named an upstream in [begin_ns, end_ns); empty if all of it was read.

    Empty also for an alert that never had a sample: it is no source at all, so nothing of it is missing.
    """
    assert run.detections is not None
    lost = run.detections.gap_between(source, begin_ns, end_ns)
    if lost is None or (source == "alert" and run.detections.alert_was_never_seen):
        return ""
    return f"a part of the service's log could not be read in time: {lost.text}" if source == "log" else lost.text


def coverage(run: Evidence, upstream: str) -> list[Span]:
    """The spans in which a fault explains that an upstream is named: while it acts, and as long after it
    as a request that it held may still fail."""
    grace_ns = round(run.plan.load.client_cap_ms * NS_PER_MS)
    return [Span(begin_ns, end_ns + grace_ns) for begin_ns, end_ns in run.injections(upstream)]


def is_explained(run: Evidence, detection: TimedDetection) -> bool:
    """Whether a fault acted on the upstream then, or so shortly before that a request it held may fail only now."""
    return any(
        begin_ns <= moment_ns <= end_ns
        for begin_ns, end_ns in coverage(run, detection.upstream)
        for moment_ns in (detection.t_ns, detection.since_ns)
    )


def in_bad_second(run: Evidence, t_ns: int) -> bool:
    """Whether the load generator was late in that second or the one before, so that the service got a burst."""
    second = (t_ns - run.t0_ns) // NS_PER_S
    return second in run.bad_seconds or second - 1 in run.bad_seconds


# ---------------------------------------------------------------- after a fault


@dataclass(frozen=True, slots=True)
class Cleared:
    """When one source stopped naming an upstream. `at_ns` None: it still did at the end of the time observed."""

    at_ns: int | None
    last: TimedDetection | None
    """The last detection: of a log the last after the removal, of an alert the last of all."""


def cleared(run: Evidence, upstream: str, source: Source, removed_ns: int, end_ns: int) -> Cleared:
    """When a source stopped naming the upstream, at the earliest `removed_ns`.

    A log: at its last detection in [removed_ns, end_ns) outside bad seconds. An alert: when it first returned to normal
    after its last detection; None if it was still raised at `end_ns`.
    """
    assert run.detections is not None
    own = [d for d in run.detections.between(0, end_ns, upstream) if d.source == source]
    after = [d for d in own if d.t_ns >= removed_ns and not in_bad_second(run, d.t_ns)]
    last = after[-1] if after else None
    if source == "log" or not own:
        return Cleared(last.t_ns if last else removed_ns, last)
    normal_ns = [n.t_ns for n in run.detections.normal if n.upstream == upstream and own[-1].t_ns < n.t_ns < end_ns]
    return Cleared(max(removed_ns, normal_ns[0]) if normal_ns else None, own[-1])


def after_end_ns(run: Evidence, fault: str) -> int:
    """The end (absolute ns) of the phase after a fault: the next guard, the load's end, or its stop."""
    end_ns = run.t0_ns + round(run.phase(f"after {fault}").end_ms * NS_PER_MS)
    return end_ns if run.stop_ns is None else min(end_ns, run.stop_ns)
