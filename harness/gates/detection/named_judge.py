"""Decides a `named` gate in each window of its fault: which upstreams were named, by log or alert, and whether a source
had named them just as often before.

A source that could not be read, or that had named the upstream already before the window, decides nothing.
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
from harness.units import NS_PER_MS, NS_PER_S, Span, format_duration


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Why a window cannot be decided."""

    kind: FindingKind
    reason: str


def outcomes_of(run: Evidence, gate: DetectedGate) -> list[DetectionOutcome]:
    """One outcome for each window of a run. A window that is shorter than the limit is left out: in it no detection can
    be late."""
    if run.detections is None:
        return [DetectionOutcome("inconclusive", FindingKind.NOT_RECORDED, UNRECORDED)]
    faults = [f for f in run.plan.faults if gate.upstream in f.upstreams and gate.fault in (None, f.name)]
    outcomes = []
    for fault in faults:
        applied = [
            i
            for i in run.journalled
            if (i.fault, i.upstream) == (fault.name, gate.upstream) and i.applied_ns is not None
        ]
        for injection in applied:
            planned = fault.windows[injection.window]
            length_ms = planned.remove_ms - planned.apply_ms
            if length_ms > gate.limit_ms:
                outcomes.append(_window(_FaultWindow(run, run.detections, gate, injection, length_ms)))
        if len(applied) < len(fault.windows):
            outcomes.append(
                DetectionOutcome(
                    "inconclusive", FindingKind.STOPPED, f"the run ended before all windows of {fault.name} had come"
                )
            )
    return outcomes


@dataclass(frozen=True, slots=True)
class _FaultWindow:
    """One window of the gate's fault in one run. `planned_ms`: how long it was to last."""

    run: Evidence
    detections: Detections
    gate: DetectedGate
    injection: Injection
    planned_ms: float

    @property
    def begin_ns(self) -> int:
        assert self.injection.applied_ns is not None
        return self.injection.applied_ns

    @property
    def end_ns(self) -> int:
        """When the fault's removal began, or the load was stopped if that was earlier."""
        ends = [ns for ns in (self.injection.removing_ns, self.run.stop_ns) if ns is not None]
        return min(ends, default=self.run.end_ns)

    @property
    def deadline_ns(self) -> int:
        return self.begin_ns + round(self.gate.limit_ms * NS_PER_MS)

    @property
    def cut(self) -> bool:
        """Whether the run was stopped before the window's planned end."""
        planned_end_ns = self.begin_ns + round(self.planned_ms * NS_PER_MS)
        return self.run.stop_ns is not None and self.run.stop_ns < planned_end_ns

    def after_ms(self, t_ns: int) -> float:
        """The time from the fault's coming to `t_ns`, without the seconds in which the load generator was late."""
        return self.run.seconds([Span(self.begin_ns, t_ns)]) * 1000

    def describe(self, detection: TimedDetection) -> str:
        after = format_duration((detection.t_ns - self.begin_ns) / NS_PER_MS)
        return f"{after} after {self.injection.fault} came, by its {detection.source}: {detection.text}"


def _window(window: _FaultWindow) -> DetectionOutcome:
    times_ns = [window.begin_ns, window.deadline_ns, window.end_ns]
    begin, deadline, end = np.searchsorted(window.run.intended_ns, times_ns)
    n = int(end - begin)
    healthy, healthy_doubt = _first_healthy(window)
    if healthy:
        reason = f"{healthy.upstream} was healthy and was named {window.describe(healthy)}"
        return DetectionOutcome("fail", FindingKind.HEALTHY_NAMED, reason, n)
    first, doubt = _first_that_counts(window)
    if first and window.after_ms(first.t_ns) < window.gate.limit_ms:
        return _named_in_time(window, first, healthy_doubt, n)
    if (active_ms := window.after_ms(window.end_ns)) < window.gate.limit_ms:
        if window.cut:
            return DetectionOutcome("inconclusive", FindingKind.STOPPED, STOPPED, n)
        reason = f"the fault was active for {active_ms:.0f} ms only"
        return DetectionOutcome("inconclusive", FindingKind.NO_WINDOW, reason, n)
    if deadline == begin:
        reason = "no request arrived in that time, so nothing could be noticed"
        return DetectionOutcome("inconclusive", FindingKind.NO_ARRIVALS, reason, n)
    if doubt or (doubt := _unread(window, window.deadline_ns)):
        return DetectionOutcome("inconclusive", doubt.kind, doubt.reason, n)
    return _not_in_time(window, first, n)


def _named_in_time(
    window: _FaultWindow, first: TimedDetection, healthy_doubt: _Doubt | None, n: int
) -> DetectionOutcome:
    """A PASS, if it is known for the whole window which upstreams were named."""
    if window.cut:
        return DetectionOutcome("inconclusive", FindingKind.STOPPED, STOPPED, n)
    if doubt := healthy_doubt or _unread(window, window.end_ns):
        return DetectionOutcome("inconclusive", doubt.kind, doubt.reason, n)
    after_ms = window.after_ms(first.t_ns)
    in_time = f"{window.gate.upstream} was named {format_duration(after_ms)} after {window.injection.fault} came"
    silent = silent_alert(window.run)
    kind = FindingKind.HELD_ON_ONE_SOURCE if silent else FindingKind.HELD
    reason = f"{in_time}, by its {first.source}{f' ({silent})' if silent else ''}"
    return DetectionOutcome("pass", kind, reason, n, after_ms)


def _not_in_time(window: _FaultWindow, first: TimedDetection | None, n: int) -> DetectionOutcome:
    limit, silent = format_duration(window.gate.limit_ms), silent_alert(window.run)
    if first:
        late = f"{window.gate.upstream} was named only {window.describe(first)}; limit {limit}"
        reason = "; ".join(filter(None, (late, silent)))
        return DetectionOutcome("fail", FindingKind.NAMED_LATE, reason, n, window.after_ms(first.t_ns))
    mentions = _mentions(window)
    never = f"{window.gate.upstream} was not named while {window.injection.fault} was active; limit {limit}"
    reason = "; ".join(filter(None, (never, mentions, silent)))
    kind = FindingKind.ALERT_SILENT if silent else FindingKind.NEVER_NAMED
    return DetectionOutcome("fail", FindingKind.NAMED_BELOW_WARNING if mentions else kind, reason, n)


def _mentions(window: _FaultWindow) -> str:
    """A clause on lines of the log that contained the upstream's name and do not count; empty if there are none.

    It shows the first line that differs from those before the window; the first of all if none does.
    """
    own = [line for line in window.detections.mentions if line.upstream == window.gate.upstream]
    during = [line for line in own if window.begin_ns <= line.t_ns < window.end_ns]
    if not during:
        return ""
    known = {without_digits(line.text) for line in own if line.t_ns < window.begin_ns}
    shown = next((line for line in during if without_digits(line.text) not in known), during[0])
    lines = sum(line.lines for line in during)
    counted = f"{lines} lines" if lines > 1 else "one line"
    where = "at INFO, without a known level, or in text of a program"
    return f"{counted} contained `{window.gate.upstream}` {where}: {shown.text}"


def _first_healthy(window: _FaultWindow) -> tuple[TimedDetection | None, _Doubt | None]:
    """The first detection of a healthy upstream, which no fault explains; and why it is unknown whether there was one,
    if a source named a healthy upstream that it may name without a fault as well."""
    by: dict[tuple[str, Source], list[TimedDetection]] = {}
    for detection in window.detections.between(window.begin_ns, window.end_ns):
        healthy = detection.upstream != window.gate.upstream and not is_explained(window.run, detection)
        if healthy and not in_bad_second(window.run, detection.t_ns):
            by.setdefault((detection.upstream, detection.source), []).append(detection)
    seconds = (window.end_ns - window.begin_ns) / NS_PER_S
    wrong: list[TimedDetection] = []
    doubt = None
    for (upstream, source), detections in by.items():
        news, why = _news(window, upstream, source, detections, seconds)
        wrong += news
        doubt = doubt or why
    return min(wrong, key=lambda d: d.t_ns, default=None), doubt


def _first_that_counts(window: _FaultWindow) -> tuple[TimedDetection | None, _Doubt | None]:
    """The first detection by a source that did not name the upstream before; and why another source does not count, if
    one does not."""
    upstream, limit_s = window.gate.upstream, window.gate.limit_ms / 1000
    counting: list[TimedDetection] = []
    doubt = None
    for source in SOURCES:
        own = [d for d in window.detections.between(window.begin_ns, window.end_ns, upstream) if d.source == source]
        in_time = [d for d in own if window.after_ms(d.t_ns) < window.gate.limit_ms]
        news, why = _news(window, upstream, source, in_time, limit_s)
        doubt = why or doubt
        counting += news if why else news + own[len(in_time) :]
    return min(counting, key=lambda d: d.t_ns, default=None), doubt


def _news(
    window: _FaultWindow, upstream: str, source: Source, detections: list[TimedDetection], seconds: float
) -> tuple[list[TimedDetection], _Doubt | None]:
    """Those of `detections` that the source would not have made without the fault, judged by how often it named the
    upstream before; and why there are none, if so. `seconds`: the time in which the detections were made."""
    if not detections:
        return [], None
    before = baseline_detections(window.run, upstream, source, window.begin_ns, enough_s=window.gate.limit_ms / 1000)
    fault = window.injection.fault
    if before.is_unknown:
        observed = f"only {format_duration(before.seconds * 1000)} could be observed without a fault"
        why = f"{observed} before {fault} came, so it is unknown what the service's {source} names anyway"
        return [], _Doubt(FindingKind.HEARD_TOO_SHORTLY, why)
    news = before.news(detections, seconds)
    healthy = "" if upstream == window.gate.upstream else ", which is healthy,"
    already = f"the service's {source} named {upstream}{healthy} before {fault} as well, so it proves nothing"
    return news, None if news else _Doubt(FindingKind.NAMED_ANYWAY, f"{already}: {detections[0].text}")


def _unread(window: _FaultWindow, end_ns: int) -> _Doubt | None:
    """Why it is unknown which upstreams were named between the window's beginning and `end_ns`; None if log and alert
    were read throughout."""
    by_url = window.run.plan.service.kind == "url"
    if by_url and (silent := silent_alert(window.run)):
        return _Doubt(FindingKind.NO_SOURCE, f"{silent}, so nothing could be observed")
    lost = next(filter(None, (unread_by(window.run, source, window.begin_ns, end_ns) for source in SOURCES)), "")
    return _Doubt(FindingKind.DETECTION_GAP, lost) if lost else None
