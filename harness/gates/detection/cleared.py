"""`cleared within 30s after azure-slow`: after the fault's removal the service soon stops naming its upstreams.

Every upstream of the fault must have been named while the fault was active; otherwise there is nothing to clear. After
the last removal, the last line of the log that names the upstream and the alert's return to normal must come earlier
than the limit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

from harness.gates.context import GateDiagnostic
from harness.gates.detection.named import unreadable_service
from harness.gates.detection.outcome import (
    STOPPED,
    UNRECORDED,
    DetectionGate,
    DetectionOutcome,
    slowest_ms,
    worst_of,
)
from harness.gates.gate import Finding
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.rundir.finding_kind import FindingKind
from harness.rundir.planned.process_act import SERVICE_TARGET
from harness.units import NS_PER_MS, NS_PER_S, Span, duration_literal, format_duration, parse_duration_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Evidence, Pool
    from harness.evidence.detections.recorded import Detections, TimedDetection
    from harness.gates.context import ScenarioNames
    from harness.rundir.detections import Source

MARGIN_MS: Final = 5_000.0
"""The load goes on for this long after the limit, so that a log that still names an upstream is seen to do so."""
_STILL: Final[dict[Source, FindingKind]] = {"log": FindingKind.STILL_IN_LOG, "alert": FindingKind.STILL_IN_ALERT}
_EXAMPLE = "cleared within 30s after FAULT"


@dataclass(frozen=True, slots=True)
class ClearedGate(DetectionGate):
    EXAMPLES: ClassVar[tuple[str, ...]] = ("cleared within 30s after azure-latency",)

    text: str
    fault: str
    limit_ms: float

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        offset = words.offset
        if not words.accept("within"):
            upstream = words.take("`within`", _EXAMPLE).text
            if upstream[:1] == "<" and words.peek()[:1].isdigit():
                fix = f"cleared within {words.text[words.offset :]}"
                raise GateSyntaxError("a `cleared` gate needs a time limit", fix, offset)
            if words.peek() == "within":
                reason = f"a `cleared` gate is about every upstream of its fault: `{upstream}` is one word too many"
                raise GateSyntaxError(reason, _without(words, upstream), offset)
            raise GateSyntaxError("a `cleared` gate needs a time limit", _EXAMPLE, offset)
        limit_ms = words.quantity(parse_duration_ms, "a duration", _EXAMPLE)
        if not words.accept("after"):
            fix = f"cleared within {duration_literal(limit_ms)} after FAULT"
            raise GateSyntaxError("a `cleared` gate needs the name of a fault", fix, words.offset)
        return cls(words.text, words.name("a fault's name", _EXAMPLE), limit_ms)

    @property
    def metric(self) -> str:
        return "cleared"

    @property
    def phase(self) -> str:
        return f"after {self.fault}"

    def load_needed_after_ms(self, rate_per_s: float) -> float:
        return self.limit_ms + MARGIN_MS

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        if names.missing_alerts:
            yield unreadable_service(names.missing_alerts)
        fault = next((fault for fault in names.faults if fault.name == self.fault), None)
        if fault and SERVICE_TARGET in fault.upstreams:
            message = f"`{self.fault}` is a fault on the service itself, so there is no upstream that it could name"
            fix = f"write `recovery < {duration_literal(self.limit_ms)} after {self.fault}`, or name another fault"
            yield GateDiagnostic(message, fix, self.fault)

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        """Judge each upstream in each run by itself; the worst counts."""
        outcomes = [outcome for run in pool.runs for outcome in _outcomes(run, self)]
        no_fault = DetectionOutcome("inconclusive", FindingKind.NO_WINDOW, f"there is no fault {self.fault}")
        worst = worst_of(outcomes) or no_fault
        return Finding(
            verdict=worst.verdict,
            reason=worst.reason,
            limit=self.limit_ms,
            unit="ms",
            op="<",
            kind=worst.kind,
            observed=slowest_ms(outcomes),
            n=sum(len(run.window(self.phase).samples) for run in pool.runs),
        )


def _without(words: Tokens, upstream: str) -> str:
    return words.text.replace(f" {upstream} ", " ", 1)


def _outcomes(run: Evidence, gate: ClearedGate) -> list[DetectionOutcome]:
    """One outcome for each upstream that the fault breaks."""
    if run.detections is None:
        return [DetectionOutcome("inconclusive", FindingKind.NOT_RECORDED, UNRECORDED)]
    upstreams = next((fault.upstreams for fault in run.plan.faults if fault.name == gate.fault), ())
    return [_outcome(run, gate, upstream) for upstream in upstreams]


@dataclass(frozen=True, slots=True)
class _After:
    """The time after the fault's last removal from one upstream, until `end_ns`."""

    run: Evidence
    detections: Detections
    gate: ClearedGate
    upstream: str
    begin_ns: int
    """When the fault was first applied."""
    removed_ns: int
    end_ns: int

    def ms(self, t_ns: int) -> float:
        """The time from the removal to `t_ns`, without the seconds in which the load generator was late."""
        return self.run.seconds([Span(self.removed_ns, max(self.removed_ns, t_ns))]) * 1000

    @property
    def limit_ns(self) -> int:
        return self.removed_ns + round(self.gate.limit_ms * NS_PER_MS)

    @property
    def no_news(self) -> str:
        """The predicate of a sentence about a source that named the upstream without the fault as well."""
        return f"named {self.upstream} before {self.gate.fault} as well, so it proves nothing"

    @property
    def late_s(self) -> float:
        """How long the service was observed after the limit."""
        return max(0, self.end_ns - self.limit_ns) / NS_PER_S

    def late(self, source: Source) -> list[TimedDetection]:
        """The detections of the upstream by this source after the limit."""
        detections = self.detections.between(self.limit_ns, self.end_ns, self.upstream)
        return [detection for detection in detections if detection.source == source]


def _outcome(run: Evidence, gate: ClearedGate, upstream: str) -> DetectionOutcome:
    from harness.evidence.detections.recorded import SOURCES, after_end_ns, silent_alert

    assert run.detections is not None
    fault = next(fault for fault in run.plan.faults if fault.name == gate.fault)
    injections = [
        i for i in run.journalled if (i.fault, i.upstream) == (gate.fault, upstream) and i.applied_ns is not None
    ]
    removed_ns = injections[-1].removed_ns if len(injections) == len(fault.windows) else None
    if removed_ns is None or (run.stop_ns is not None and run.stop_ns < removed_ns):
        return DetectionOutcome("inconclusive", FindingKind.STOPPED, STOPPED)
    begin_ns = injections[0].applied_ns
    assert begin_ns is not None
    during = run.detections.between(begin_ns, removed_ns, upstream)
    if not during:
        reason = f"{upstream} was never named while {gate.fault} was active, so nothing could clear"
        return DetectionOutcome("inconclusive", FindingKind.NOT_RAISED, reason)
    after = _After(run, run.detections, gate, upstream, begin_ns, removed_ns, after_end_ns(run, gate.fault))
    by_source = [_judge_source(after, source) for source in SOURCES]
    counting = [each.outcome for each in by_source if each.counts]
    worst = next((o for verdict in ("fail", "inconclusive") for o in counting if o.verdict == verdict), None)
    if worst:
        return worst
    if not any(each.was_news for each in by_source):
        sources = " and ".join(dict.fromkeys(detection.source for detection in during))
        reason = f"the service's {sources} {after.no_news}, and nothing could clear"
        return DetectionOutcome("inconclusive", FindingKind.NAMED_ANYWAY, reason)
    slowest = max(counting, key=lambda outcome: outcome.after_ms or 0.0)
    silent = silent_alert(run)
    if not silent:
        return slowest
    return replace(slowest, kind=FindingKind.HELD_ON_ONE_SOURCE, reason=f"{slowest.reason} ({silent})")


@dataclass(frozen=True, slots=True)
class _SourceOutcome:
    """The gate judged by one source, the log or the alert."""

    outcome: DetectionOutcome
    was_news: bool
    """The source named the upstream while the fault was active, and had not done so already before it."""
    counts: bool
    """Whether the outcome counts. A source that cleared is no PASS if it named the upstream before the fault as well.
    """


def _judge_source(after: _After, source: Source) -> _SourceOutcome:
    from harness.evidence.detections.baseline import LAST_S, baseline_detections

    before = baseline_detections(after.run, after.upstream, source, after.begin_ns, enough_s=LAST_S)
    during = [
        d for d in after.detections.between(after.begin_ns, after.removed_ns, after.upstream) if d.source == source
    ]
    was_news = bool(before.news(during, (after.removed_ns - after.begin_ns) / NS_PER_S))
    outcome = _clearing_outcome(after, source)
    late = after.late(source)
    if outcome.verdict == "fail" and late and not before.news(late, after.late_s):
        outcome = DetectionOutcome("inconclusive", FindingKind.NAMED_ANYWAY, f"the service's {source} {after.no_news}")
    return _SourceOutcome(outcome, was_news, outcome.verdict != "pass" or was_news or not during)


def _clearing_outcome(after: _After, source: Source) -> DetectionOutcome:
    """When the source stopped naming the upstream, against the limit."""
    from harness.evidence.detections.recorded import cleared, unread_by

    clearing = cleared(after.run, after.upstream, source, after.removed_ns, after.end_ns)
    limit_ms, load_ms = after.gate.limit_ms, after.ms(after.end_ns)
    load, limit = format_duration(load_ms), format_duration(limit_ms)
    still = f"{after.upstream} was still named by the service's {source} "
    tail = f" after the fault was gone, limit {limit}" + (f": {clearing.last.text}" if clearing.last else "")
    ended = f"the load ended {load} after the fault, too early to tell"
    too_early = DetectionOutcome("inconclusive", FindingKind.TOO_EARLY, ended)
    if clearing.at_ns is None:
        lost = unread_by(after.run, source, clearing.last.t_ns if clearing.last else after.removed_ns, after.end_ns)
        if lost:
            return DetectionOutcome(
                "inconclusive", FindingKind.DETECTION_GAP, f"{after.upstream} was named when last seen; then {lost}"
            )
        return too_early if load_ms < limit_ms else DetectionOutcome("fail", _STILL[source], still + load + tail)
    after_ms = after.ms(clearing.at_ns)
    if after_ms >= limit_ms:
        return DetectionOutcome("fail", _STILL[source], still + format_duration(after_ms) + tail, after_ms=after_ms)
    if load_ms < limit_ms:
        return too_early
    if lost := unread_by(after.run, source, after.limit_ns, after.end_ns):
        return DetectionOutcome("inconclusive", FindingKind.DETECTION_GAP, lost)
    reason = f"{after.upstream} was no longer named {format_duration(after_ms)} after the fault, limit {limit}"
    return DetectionOutcome("pass", FindingKind.HELD, reason, after_ms=after_ms)
