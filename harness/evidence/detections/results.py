"""Summaries of detections for results.json: during each fault, and false alarms. Judges nothing.

A detection while a fault is active is listed with that fault, whether it names the broken upstream or a healthy one. A
detection outside every fault, of an upstream that no fault had broken by then, is a false alarm. A detection after an
upstream's own fault is neither; it shows only in when the upstream was named for the last time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.evidence.detections.baseline import baseline_detections
from harness.evidence.detections.recorded import TimedDetection, after_end_ns, cleared, in_bad_second, is_explained
from harness.rundir.detections import Source
from harness.rundir.judged.fault_results import FalseAlarm, NamedResult
from harness.rundir.planned.fault import PlannedFault
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.run import Evidence

QUIET_S: Final = 5.0
"""If a log does not name an upstream for this long until the end, it has stopped naming it."""


def detected_during(run: Evidence, fault: PlannedFault, upstream: str) -> tuple[NamedResult, ...]:
    """The upstreams that were named while `fault` was active on `upstream`, one result for each upstream and source.

    These are that upstream, and healthy ones. For a fault on several upstreams, the healthy ones are listed only with
    the first of them.
    """
    windows = [
        (i.applied_ns, i.removing_ns if i.removing_ns is not None else run.end_ns)
        for i in run.journalled
        if (i.fault, i.upstream) == (fault.name, upstream) and i.applied_ns is not None
    ]
    if run.detections is None or not windows:
        return ()
    by_source: dict[tuple[str, Source], list[tuple[TimedDetection, int]]] = {}
    for begin_ns, end_ns in windows:
        for detection in run.detections.between(begin_ns, end_ns):
            is_listed = detection.upstream == upstream or (
                upstream == fault.upstreams[0] and not is_explained(run, detection)
            )
            if is_listed:
                by_source.setdefault((detection.upstream, detection.source), []).append((detection, begin_ns))
    active_s = sum(end_ns - begin_ns for begin_ns, end_ns in windows) / NS_PER_S
    return tuple(
        _named_result(run, fault, upstream, during, first_ns=windows[0][0], active_s=active_s)
        for during in by_source.values()
    )


def _named_result(
    run: Evidence,
    fault: PlannedFault,
    upstream: str,
    during: list[tuple[TimedDetection, int]],
    *,
    first_ns: int,
    active_s: float,
) -> NamedResult:
    """The result for one upstream and source. `during`: each detection, and when its window began."""
    detections = [detection for detection, _ in during]
    first, begin_ns = during[0]
    own = first.upstream == upstream
    no_news = not baseline_detections(run, first.upstream, first.source, first_ns).news(detections, active_s)
    return NamedResult(
        upstream=first.upstream,
        source=first.source,
        after_ms=(first.t_ns - begin_ns) / NS_PER_MS,
        lines=sum(detection.lines for detection in detections),
        text=first.text,
        healthy=not own,
        no_news=no_news,
        cleared_after_ms=_cleared_after_ms(run, fault, first) if own and not no_news else None,
    )


def _cleared_after_ms(run: Evidence, fault: PlannedFault, first: TimedDetection) -> float | None:
    removed = [i.removed_ns for i in run.journalled if (i.fault, i.upstream) == (fault.name, first.upstream)]
    if len(removed) < len(fault.windows) or removed[-1] is None:
        return None
    removed_ns, end_ns = removed[-1], after_end_ns(run, fault.name)
    clearing = cleared(run, first.upstream, first.source, removed_ns, end_ns)
    if clearing.at_ns is None or (first.source == "log" and end_ns - clearing.at_ns < QUIET_S * NS_PER_S):
        return None
    return (clearing.at_ns - removed_ns) / NS_PER_MS


def false_alarms(run: Evidence) -> tuple[FalseAlarm, ...]:
    """The upstreams that were named while no fault was active, and that none had broken by then. One result for each
    upstream and source, in order of time."""
    if run.detections is None:
        return ()
    active = [
        (i.applied_ns, i.removing_ns if i.removing_ns is not None else run.end_ns)
        for i in run.journalled
        if i.applied_ns is not None
    ]
    by_source: dict[tuple[str, Source], list[TimedDetection]] = {}
    for detection in run.detections.between(run.t0_ns, run.end_ns):
        t_ns = detection.t_ns
        was_broken = any(begin_ns <= t_ns for begin_ns, _ in run.injections(detection.upstream))
        if not (was_broken or any(begin <= t_ns < end for begin, end in active) or in_bad_second(run, t_ns)):
            by_source.setdefault((detection.upstream, detection.source), []).append(detection)
    return tuple(
        FalseAlarm(
            upstream=upstream,
            source=source,
            first_ms=(detections[0].t_ns - run.t0_ns) / NS_PER_MS,
            lines=sum(detection.lines for detection in detections),
            text=detections[0].text,
        )
        for (upstream, source), detections in by_source.items()
    )
