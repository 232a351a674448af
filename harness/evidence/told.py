"""Whom the service named, for people: during each fault, and while there was none. Judges nothing.

A sighting while a fault stands is the fault's story, of the faulted upstream or of a healthy one. One outside every
fault, of an upstream that none had hit by then, is a false alarm. What follows an upstream's own fault is neither: when
it was named for the last time says that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.evidence.news import before
from harness.evidence.notices import Sighting, after_end_ns, cleared, in_bad_second, is_explained
from harness.notice_record import Source
from harness.plan import PlannedFault
from harness.results import FalseAlarm, NamedResult
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.run import Evidence

QUIET_S: Final = 5.0
"""A log that was silent for so long at the end has stopped naming somebody."""


def named_during(run: Evidence, fault: PlannedFault, upstream: str) -> tuple[NamedResult, ...]:
    """Who was named first by whom while `fault` stood on `upstream`: that upstream, and those that were healthy."""
    if run.notices is None:
        return ()
    firsts: dict[tuple[str, Source], tuple[Sighting, float]] = {}
    seen: dict[tuple[str, Source], list[Sighting]] = {}
    first_ns, stood_ns = None, 0
    for injection in run.journalled:
        if (injection.fault, injection.upstream) != (fault.name, upstream) or injection.applied_ns is None:
            continue
        end_ns = injection.removing_ns if injection.removing_ns is not None else run.end_ns
        first_ns = injection.applied_ns if first_ns is None else first_ns
        stood_ns += end_ns - injection.applied_ns
        for sighting in run.notices.between(injection.applied_ns, end_ns):
            if sighting.upstream == upstream or not is_explained(run, sighting):
                key = sighting.upstream, sighting.source
                firsts.setdefault(key, (sighting, (sighting.t_ns - injection.applied_ns) / NS_PER_MS))
                seen.setdefault(key, []).append(sighting)
    if first_ns is None:
        return ()
    told = []
    for (name, source), (first, after_ms) in firsts.items():
        own, during = name == upstream, seen[name, source]
        no_news = own and before(run, name, source, first_ns).explains(during, stood_ns / NS_PER_S)
        told.append(
            NamedResult(
                upstream=name,
                source=source,
                after_ms=after_ms,
                lines=sum(sighting.lines for sighting in during),
                text=first.text,
                healthy=not own,
                no_news=no_news,
                cleared_after_ms=_cleared_after_ms(run, fault, first) if own and not no_news else None,
            )
        )
    return tuple(told)


def _cleared_after_ms(run: Evidence, fault: PlannedFault, first: Sighting) -> float | None:
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
    found: dict[tuple[str, Source], list[Sighting]] = {}
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
