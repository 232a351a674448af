"""`named azure within 5s [during azure-slow]`: log or alert of the service name the faulted upstream, no healthy one.

In every window of the fault: azure named within the limit of the fault's coming, and until its removal nobody that no
fault had touched. A source that names azure as much without a fault says nothing. What is seen is a time, not a share:
no error is shared out, and one window that fails fails the gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from harness.gates.gate import Finding, GateVerdict
from harness.gates.words import GateSyntaxError, Words
from harness.units import NS_PER_MS, format_duration, parse_duration_ms

if TYPE_CHECKING:
    from harness.evidence import Evidence, Pool
    from harness.evidence.injections import Injection
    from harness.evidence.notices import Notices, Sighting

_EXAMPLE = "named azure within 5s during FAULT"


@dataclass(frozen=True, slots=True)
class NamedGate:
    text: str
    upstream: str
    limit_ms: float
    fault: str | None
    """None: every fault that hits the upstream."""

    uses_gateway_timeout: ClassVar[bool] = False
    uses_complete: ClassVar[bool] = False
    uses_main: ClassVar[bool] = False

    @classmethod
    def reads(cls, word: str) -> bool:
        return word == "named"

    @classmethod
    def parse(cls, words: Words) -> Self:
        words.take()
        offset = words.offset
        upstream = words.name("an upstream's name", _EXAMPLE)
        if not words.accept("within"):
            if upstream == "within":
                raise GateSyntaxError("the upstream is missing", f"named UPSTREAM within {words.peek()}", offset)
            comparison = words.peek() if words.peek()[:1] == "<" else ""
            how = f": write `within` for `{comparison}`" if comparison else ""
            fix = f"named {upstream} within 5s during FAULT"
            raise GateSyntaxError(f"a `named` gate says within which time{how}", fix, words.offset)
        limit_ms = words.quantity(parse_duration_ms, "a duration", _EXAMPLE)
        offset = words.offset
        phase = words.phase()
        if phase.startswith("after ") or phase == "baseline":
            raise GateSyntaxError("a `named` gate speaks of a fault while it stands", _EXAMPLE, offset)
        return cls(words.text, upstream, limit_ms, None if phase == "whole" else phase)

    @property
    def metric(self) -> str:
        return f"named {self.upstream}"

    @property
    def phase(self) -> str:
        return self.fault or "whole"

    def phases(self) -> tuple[str, ...]:
        return (self.phase,)

    def upstreams(self) -> tuple[str, ...]:
        return (self.upstream,)

    def requests(self) -> tuple[str, ...]:
        return ()

    def moments(self, confidence: float) -> int:
        return 0

    def load_needed_after_ms(self, rate_per_s: float) -> float:
        return 0.0

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None:
        return None

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        """Every window of every run; the worst counts."""
        outcomes = [outcome for run in pool.runs for outcome in _outcomes(run, self)]
        times = [o.after_ms for o in outcomes if o.after_ms is not None]
        worst = next((o for v in ("fail", "inconclusive", "pass") for o in outcomes if o.verdict == v), None)
        reason = worst.reason if worst else "no window of the fault lasted longer than the limit"
        if worst and worst.verdict == "pass":
            slowest = max(outcomes, key=lambda o: o.after_ms or 0.0)
            windows = f", the slowest of {len(outcomes)} windows" if len(outcomes) > 1 else ""
            reason = f"{slowest.reason}{windows}, limit {format_duration(self.limit_ms)}"
        return Finding(
            verdict=worst.verdict if worst else "inconclusive",
            reason=reason,
            limit=self.limit_ms,
            unit="ms",
            op="<",
            observed=max(times) if outcomes and len(times) == len(outcomes) else None,
            n=sum(o.n for o in outcomes),
        )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Of one window; `n`: the requests that arrived in it, `after_ms`: how late the upstream was named."""

    verdict: GateVerdict
    reason: str
    n: int = 0
    after_ms: float | None = None


def _outcomes(run: Evidence, gate: NamedGate) -> list[_Outcome]:
    """Of a run's windows. One that is shorter than the limit is passed over: nobody could have been late in it."""
    if run.notices is None:
        return [_Outcome("inconclusive", "this run recorded nothing of whom the service named")]
    faults = [f for f in run.plan.faults if gate.upstream in f.upstreams and gate.fault in (None, f.name)]
    outcomes = []
    for fault in faults:
        came = [i for i in run.journalled if (i.fault, i.upstream) == (fault.name, gate.upstream) and i.applied_ns]
        for injection in came:
            planned = fault.windows[injection.window]
            length_ms = planned.remove_ms - planned.apply_ms
            if length_ms > gate.limit_ms:
                outcomes.append(_window(_Look(run, run.notices, gate, injection, length_ms)))
        if len(came) < len(fault.windows):
            outcomes.append(_Outcome("inconclusive", f"the run ended before all windows of {fault.name} had come"))
    return outcomes


@dataclass(frozen=True, slots=True)
class _Look:
    """One window of a fault, looked at for one gate."""

    run: Evidence
    notices: Notices
    gate: NamedGate
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

    def say(self, sighting: Sighting) -> str:
        after = format_duration((sighting.t_ns - self.begin_ns) / NS_PER_MS)
        return f"{after} after {self.injection.fault} came, by its {sighting.source}: {sighting.text}"


def _window(look: _Look) -> _Outcome:
    import numpy as np

    from harness.evidence.notices import in_bad_second, is_explained, mute_alert

    gate = look.gate
    begin, deadline, end = np.searchsorted(look.run.intended_ns, [look.begin_ns, look.deadline_ns, look.end_ns])
    n = int(end - begin)
    seen = look.notices.between(look.begin_ns, look.end_ns)
    wrong = next(
        (
            s
            for s in seen
            if s.upstream != gate.upstream and not is_explained(look.run, s) and not in_bad_second(look.run, s.t_ns)
        ),
        None,
    )
    if wrong:
        return _Outcome("fail", f"{wrong.upstream} was healthy and was named {look.say(wrong)}", n)
    first, doubt = _first_that_counts(look, [s for s in seen if s.upstream == gate.upstream])
    if first and look.after_ms(first.t_ns) < gate.limit_ms:
        if look.cut:
            return _Outcome("inconclusive", "the run was stopped before this phase was over", n)
        after_ms = look.after_ms(first.t_ns)
        told = f"{gate.upstream} was named {format_duration(after_ms)} after {look.injection.fault} came"
        mute = f" ({mute})" if (mute := mute_alert(look.run)) else ""
        return _Outcome("pass", f"{told}, by its {first.source}{mute}", n, after_ms)
    if (stood_ms := look.after_ms(look.end_ns)) < gate.limit_ms:
        why = "the run was stopped before this phase was over" if look.cut else f"it stood for {stood_ms:.0f} ms only"
        return _Outcome("inconclusive", why, n)
    if deadline == begin:
        return _Outcome("inconclusive", "no request arrived in that time, so nothing could be noticed", n)
    if doubt or (doubt := _unseen(look)):
        return _Outcome("inconclusive", doubt, n)
    limit = format_duration(gate.limit_ms)
    if first:
        late = f"{gate.upstream} was named only {look.say(first)}; limit {limit}"
        return _Outcome("fail", "; ".join(filter(None, (late, mute_alert(look.run)))), n, look.after_ms(first.t_ns))
    told = f"{gate.upstream} was not named while {look.injection.fault} stood; limit {limit}"
    return _Outcome("fail", "; ".join(filter(None, (told, _unheeded(look), mute_alert(look.run)))), n)


def _unheeded(look: _Look) -> str:
    """What the log said of the upstream below WARN; the first line unlike those of before, if there is one."""
    from harness.evidence.news import without_digits

    own = [line for line in look.notices.unheeded if line.upstream == look.gate.upstream]
    during = [line for line in own if look.begin_ns <= line.t_ns < look.end_ns]
    if not during:
        return ""
    known = {without_digits(line.text) for line in own if line.t_ns < look.begin_ns}
    shown = next((line for line in during if without_digits(line.text) not in known), during[0])
    lines = sum(line.lines for line in during)
    held = f"{lines} lines" if lines > 1 else "one line"
    return f"{held} held `{look.gate.upstream}` at INFO or with no level that is known: {shown.text}"


def _first_that_counts(look: _Look, seen: list[Sighting]) -> tuple[Sighting | None, str]:
    """The first by a source that does not name the upstream anyway; and why one was left out, if one was."""
    from harness.evidence.news import before
    from harness.evidence.notices import SOURCES

    counting: list[Sighting] = []
    doubt = ""
    for source in SOURCES:
        past = before(look.run, look.gate.upstream, source, look.begin_ns)
        own = [s for s in seen if s.source == source]
        in_time = [s for s in own if s.t_ns < look.deadline_ns]
        if past.explains(in_time, look.gate.limit_ms / 1000):
            doubt = (
                f"the service's {source} named {look.gate.upstream} before {look.injection.fault} as well, "
                f"so it says nothing: {in_time[0].text}"
            )
        else:
            # a line that came before as well is the first only where there is no other
            counting += (past.fresh(in_time) or in_time) + own[len(in_time) :]
    return min(counting, key=lambda s: s.t_ns, default=None), doubt


def _unseen(look: _Look) -> str:
    """Why nobody can say that it was not named; empty where all was read."""
    from harness.evidence.notices import mute_alert

    lost = look.notices.unread_between("log", look.begin_ns, look.deadline_ns)
    if lost:
        return f"a part of the service's log could not be read in time: {lost.text}"
    if look.run.plan.service.kind != "url":
        return ""
    if mute := mute_alert(look.run):
        return f"{mute}, so there was no witness"
    lost = look.notices.unread_between("alert", look.begin_ns, look.deadline_ns)
    return lost.text if lost else ""
