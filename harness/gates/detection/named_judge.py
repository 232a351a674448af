"""How a `named` gate decides each window of its fault: who was named in it, by whom, and whether that was news.

What could not be read, or was being said already when the window began, decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.evidence import Evidence
from harness.evidence.detections.baseline import baseline_detections
from harness.evidence.detections.recorded import (
    SOURCES,
    Detections,
    TimedDetection,
    in_bad_second,
    is_explained,
    silent_alert,
    unread_by,
)
from harness.evidence.injections import Injection
from harness.gates.detection.named import DetectedGate
from harness.gates.detection.outcome import STOPPED, UNRECORDED, DetectionOutcome
from harness.rundir.detections import Source, without_digits
from harness.rundir.finding_kind import FindingKind
from harness.units import NS_PER_MS, NS_PER_S, format_duration


@dataclass(frozen=True, slots=True)
class _Doubt:
    kind: FindingKind
    reason: str


def outcomes_of(run: Evidence, gate: DetectedGate) -> list[DetectionOutcome]:
    """Of a run's windows. One that is shorter than the limit is passed over: nobody could have been late in it."""
    if run.notices is None:
        return [DetectionOutcome("inconclusive", FindingKind.NOT_RECORDED, UNRECORDED)]
    faults = [f for f in run.plan.faults if gate.upstream in f.upstreams and gate.fault in (None, f.name)]
    outcomes = []
    for fault in faults:
        came = [
            i
            for i in run.journalled
            if (i.fault, i.upstream) == (fault.name, gate.upstream) and i.applied_ns is not None
        ]
        for injection in came:
            planned = fault.windows[injection.window]
            length_ms = planned.remove_ms - planned.apply_ms
            if length_ms > gate.limit_ms:
                outcomes.append(_window(_Look(run, run.notices, gate, injection, length_ms)))
        if len(came) < len(fault.windows):
            outcomes.append(
                DetectionOutcome(
                    "inconclusive", FindingKind.STOPPED, f"the run ended before all windows of {fault.name} had come"
                )
            )
    return outcomes


@dataclass(frozen=True, slots=True)
class _Look:
    """One window of a fault, looked at for one gate."""

    run: Evidence
    notices: Detections
    gate: DetectedGate
    injection: Injection
    planned_ms: float

    @property
    def begin_ns(self) -> int:
        assert self.injection.applied_ns is not None
        return self.injection.applied_ns

    @property
    def end_ns(self) -> int:
        """Its removal, or the stop that cut it short."""
        ends = [ns for ns in (self.injection.removing_ns, self.run.stop_ns) if ns is not None]
        return min(ends, default=self.run.end_ns)

    @property
    def deadline_ns(self) -> int:
        return self.begin_ns + round(self.gate.limit_ms * NS_PER_MS)

    @property
    def cut(self) -> bool:
        """The run was stopped before the window's planned end."""
        planned_end_ns = self.begin_ns + round(self.planned_ms * NS_PER_MS)
        return self.run.stop_ns is not None and self.run.stop_ns < planned_end_ns

    def after_ms(self, t_ns: int) -> float:
        """Since the fault came, seconds that the load generator spoiled left out."""
        return self.run.seconds([(self.begin_ns, t_ns)]) * 1000

    def say(self, sighting: TimedDetection) -> str:
        after = format_duration((sighting.t_ns - self.begin_ns) / NS_PER_MS)
        return f"{after} after {self.injection.fault} came, by its {sighting.source}: {sighting.text}"


def _window(look: _Look) -> DetectionOutcome:
    begin, deadline, end = np.searchsorted(look.run.intended_ns, [look.begin_ns, look.deadline_ns, look.end_ns])
    n = int(end - begin)
    wrong, blurred = _healthy(look)
    if wrong:
        reason = f"{wrong.upstream} was healthy and was named {look.say(wrong)}"
        return DetectionOutcome("fail", FindingKind.HEALTHY_NAMED, reason, n)
    first, doubt = _first_that_counts(look)
    if first and look.after_ms(first.t_ns) < look.gate.limit_ms:
        return _named_in_time(look, first, blurred, n)
    if (stood_ms := look.after_ms(look.end_ns)) < look.gate.limit_ms:
        if look.cut:
            return DetectionOutcome("inconclusive", FindingKind.STOPPED, STOPPED, n)
        reason = f"it stood for {stood_ms:.0f} ms only"
        return DetectionOutcome("inconclusive", FindingKind.NO_WINDOW, reason, n)
    if deadline == begin:
        reason = "no request arrived in that time, so nothing could be noticed"
        return DetectionOutcome("inconclusive", FindingKind.NO_ARRIVALS, reason, n)
    if doubt or (doubt := _unseen(look, look.deadline_ns)):
        return DetectionOutcome("inconclusive", doubt.kind, doubt.reason, n)
    return _not_in_time(look, first, n)


def _named_in_time(look: _Look, first: TimedDetection, blurred: _Doubt | None, n: int) -> DetectionOutcome:
    """A PASS, if all is known that was said until the fault's removal."""
    if look.cut:
        return DetectionOutcome("inconclusive", FindingKind.STOPPED, STOPPED, n)
    if doubt := blurred or _unseen(look, look.end_ns):
        return DetectionOutcome("inconclusive", doubt.kind, doubt.reason, n)
    after_ms = look.after_ms(first.t_ns)
    told = f"{look.gate.upstream} was named {format_duration(after_ms)} after {look.injection.fault} came"
    mute = silent_alert(look.run)
    kind = FindingKind.HELD_ON_ONE_SOURCE if mute else FindingKind.HELD
    return DetectionOutcome("pass", kind, f"{told}, by its {first.source}{f' ({mute})' if mute else ''}", n, after_ms)


def _not_in_time(look: _Look, first: TimedDetection | None, n: int) -> DetectionOutcome:
    limit, mute = format_duration(look.gate.limit_ms), silent_alert(look.run)
    if first:
        late = f"{look.gate.upstream} was named only {look.say(first)}; limit {limit}"
        reason = "; ".join(filter(None, (late, mute)))
        return DetectionOutcome("fail", FindingKind.NAMED_LATE, reason, n, look.after_ms(first.t_ns))
    unheeded = _unheeded(look)
    told = f"{look.gate.upstream} was not named while {look.injection.fault} stood; limit {limit}"
    reason = "; ".join(filter(None, (told, unheeded, mute)))
    kind = FindingKind.ALERT_SILENT if mute else FindingKind.NEVER_NAMED
    return DetectionOutcome("fail", FindingKind.NAMED_BELOW_WARNING if unheeded else kind, reason, n)


def _unheeded(look: _Look) -> str:
    """What the log held of the upstream without naming it; the first line unlike those of before, if there is one."""
    own = [line for line in look.notices.unheeded if line.upstream == look.gate.upstream]
    during = [line for line in own if look.begin_ns <= line.t_ns < look.end_ns]
    if not during:
        return ""
    known = {without_digits(line.text) for line in own if line.t_ns < look.begin_ns}
    shown = next((line for line in during if without_digits(line.text) not in known), during[0])
    lines = sum(line.lines for line in during)
    held = f"{lines} lines" if lines > 1 else "one line"
    where = "at INFO, with no level that is known, or in text of a program"
    return f"{held} held `{look.gate.upstream}` {where}: {shown.text}"


def _healthy(look: _Look) -> tuple[TimedDetection | None, _Doubt | None]:
    """The first upstream that was blamed although no fault explains it; and who was named that may be anyway."""
    by: dict[tuple[str, Source], list[TimedDetection]] = {}
    for sighting in look.notices.between(look.begin_ns, look.end_ns):
        others = sighting.upstream != look.gate.upstream and not is_explained(look.run, sighting)
        if others and not in_bad_second(look.run, sighting.t_ns):
            by.setdefault((sighting.upstream, sighting.source), []).append(sighting)
    seconds = (look.end_ns - look.begin_ns) / NS_PER_S
    wrong: list[TimedDetection] = []
    blurred = None
    for (upstream, source), seen in by.items():
        news, doubt = _news(look, upstream, source, seen, seconds)
        wrong += news
        blurred = blurred or doubt
    return min(wrong, key=lambda s: s.t_ns, default=None), blurred


def _first_that_counts(look: _Look) -> tuple[TimedDetection | None, _Doubt | None]:
    """The first by a source to which the upstream is news; and why one was left out, if one was."""
    upstream, limit_s = look.gate.upstream, look.gate.limit_ms / 1000
    counting: list[TimedDetection] = []
    doubt = None
    for source in SOURCES:
        own = [s for s in look.notices.between(look.begin_ns, look.end_ns, upstream) if s.source == source]
        in_time = [s for s in own if look.after_ms(s.t_ns) < look.gate.limit_ms]
        news, why = _news(look, upstream, source, in_time, limit_s)
        doubt = why or doubt
        counting += news if why else news + own[len(in_time) :]
    return min(counting, key=lambda s: s.t_ns, default=None), doubt


def _news(
    look: _Look, upstream: str, source: Source, seen: list[TimedDetection], seconds: float
) -> tuple[list[TimedDetection], _Doubt | None]:
    """What counts of that which a source said of an upstream from the window's beginning on; or why nothing does."""
    if not seen:
        return [], None
    past = baseline_detections(look.run, upstream, source, look.begin_ns, enough_s=look.gate.limit_ms / 1000)
    fault = look.injection.fault
    if past.is_unknown:
        listened = f"only {format_duration(past.seconds * 1000)} could be listened to without a fault"
        why = f"{listened} before {fault} came, so nobody knows whom the service's {source} names anyway"
        return [], _Doubt(FindingKind.HEARD_TOO_SHORTLY, why)
    news = past.news(seen, seconds)
    healthy = "" if upstream == look.gate.upstream else ", which is healthy,"
    already = f"the service's {source} named {upstream}{healthy} before {fault} as well, so it says nothing"
    return news, None if news else _Doubt(FindingKind.NAMED_ANYWAY, f"{already}: {seen[0].text}")


def _unseen(look: _Look, end_ns: int) -> _Doubt | None:
    """Why nobody can say who was not named from the window's beginning until then; None where all was read."""
    by_url = look.run.plan.service.kind == "url"
    if by_url and (mute := silent_alert(look.run)):
        return _Doubt(FindingKind.NO_SOURCE, f"{mute}, so there was no witness")
    lost = next(filter(None, (unread_by(look.run, source, look.begin_ns, end_ns) for source in SOURCES)), "")
    return _Doubt(FindingKind.UNREAD, lost) if lost else None
