"""Whom the service named, for people: during each fault, and while there was none. Judges nothing.

A sighting while a fault stands is the fault's story, of the faulted upstream or of a healthy one. One outside every
fault, of an upstream that none had hit by then, is a false alarm. What follows an upstream's own fault is neither: when
it was named for the last time says that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.evidence.detections.baseline import baseline_detections
from harness.evidence.detections.recorded import TimedDetection, after_end_ns, cleared, in_bad_second, is_explained
from harness.rundir.detections import Source
from harness.rundir.plan import PlannedFault
from harness.rundir.results import FalseAlarm, NamedResult
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.run import Evidence

QUIET_S: Final = 5.0
"""A log that was silent for so long at the end has stopped naming somebody."""


def detected_during(run: Evidence, fault: PlannedFault, upstream: str) -> tuple[NamedResult, ...]:
    """Who was named first by whom while `fault` stood on `upstream`: that upstream, and those that were healthy, which
    of a fault of several upstreams stand with its first."""
    stood = [
        (i.applied_ns, i.removing_ns if i.removing_ns is not None else run.end_ns)
        for i in run.journalled
        if (i.fault, i.upstream) == (fault.name, upstream) and i.applied_ns is not None
    ]
    if run.notices is None or not stood:
        return ()
    seen: dict[tuple[str, Source], list[tuple[TimedDetection, int]]] = {}
    for begin_ns, end_ns in stood:
        for sighting in run.notices.between(begin_ns, end_ns):
            is_told = sighting.upstream == upstream or (
                upstream == fault.upstreams[0] and not is_explained(run, sighting)
            )
            if is_told:
                seen.setdefault((sighting.upstream, sighting.source), []).append((sighting, begin_ns))
    stood_s = sum(end_ns - begin_ns for begin_ns, end_ns in stood) / NS_PER_S
    return tuple(_told(run, fault, upstream, during, first_ns=stood[0][0], stood_s=stood_s) for during in seen.values())


def _told(
    run: Evidence,
    fault: PlannedFault,
    upstream: str,
    during: list[tuple[TimedDetection, int]],
    *,
    first_ns: int,
    stood_s: float,
) -> NamedResult:
    """Of one upstream and source. `during`: each sighting, and when its window began."""
    sightings = [sighting for sighting, _ in during]
    first, begin_ns = during[0]
    own = first.upstream == upstream
    no_news = not baseline_detections(run, first.upstream, first.source, first_ns).news(sightings, stood_s)
    return NamedResult(
        upstream=first.upstream,
        source=first.source,
        after_ms=(first.t_ns - begin_ns) / NS_PER_MS,
        lines=sum(sighting.lines for sighting in sightings),
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
    found = cleared(run, first.upstream, first.source, removed_ns, end_ns)
    if found.at_ns is None or (first.source == "log" and end_ns - found.at_ns < QUIET_S * NS_PER_S):
        return None
    return (found.at_ns - removed_ns) / NS_PER_MS


def false_alarms(run: Evidence) -> tuple[FalseAlarm, ...]:
    """Who was named while no fault stood and none had yet hit it, first things first."""
    if run.notices is None:
        return ()
    standing = [
        (i.applied_ns, i.removing_ns if i.removing_ns is not None else run.end_ns)
        for i in run.journalled
        if i.applied_ns is not None
    ]
    found: dict[tuple[str, Source], list[TimedDetection]] = {}
    for sighting in run.notices.between(run.t0_ns, run.end_ns):
        t_ns = sighting.t_ns
        was_hit = any(begin_ns <= t_ns for begin_ns, _ in run.injections(sighting.upstream))
        if not (was_hit or any(begin <= t_ns < end for begin, end in standing) or in_bad_second(run, t_ns)):
            found.setdefault((sighting.upstream, sighting.source), []).append(sighting)
    return tuple(
        FalseAlarm(
            upstream=upstream,
            source=source,
            first_ms=(seen[0].t_ns - run.t0_ns) / NS_PER_MS,
            lines=sum(sighting.lines for sighting in seen),
            text=seen[0].text,
        )
        for (upstream, source), seen in found.items()
    )
