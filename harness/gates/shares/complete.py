"""`complete > 99%`: the share of requests whose answer holds the rows of the upstreams that the request asks.

Three forms differ in what an answer must hold besides being ok. `complete`: every upstream that had no fault meanwhile.
`complete of azure`: the same of that upstream alone, counted over the requests that ask it. `complete 6/8`: at least 6
of the 8 upstreams asked, those with a fault included, which bounds how much a fault may cost.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import AdviceContext, Finding, Gate, GateDefaults, Unit, moments_for_share
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.rundir.finding_kind import FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from harness.evidence import Evidence, Pool, Window
    from harness.gates.exceedance import Population
    from harness.statistics import Decision

_QUORUM: Final = re.compile(r"(\d+)/(\d+)")
_EXAMPLE: Final = "complete > 99%"
_ASKED_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class Quorum:
    """At least `least` of the upstreams asked, of which there are `asked`."""

    least: int
    asked: int


@dataclass(frozen=True, slots=True)
class CompleteGate(GateDefaults):
    EXAMPLES: ClassVar[tuple[str, ...]] = (
        "complete > 99% during azure-latency",
        "complete of azure > 99% during baseline",
        "complete 6/8 > 99% during azure-latency",
    )

    text: str
    upstream: str | None
    quorum: Quorum | None
    request: str | None
    limit: float
    """As a fraction: 0.99 for `complete > 99%`."""
    phase: str

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        upstream = words.name("an upstream's name", "complete of UPSTREAM > 99%") if words.accept("of") else None
        quorum = None if upstream else _quorum(words)
        request = words.request()
        words.comparison(">", _EXAMPLE)
        return cls(words.text, upstream, quorum, request, words.share("99%"), words.phase())

    @property
    def metric(self) -> str:
        if self.quorum:
            return f"complete {self.quorum.least}/{self.quorum.asked}"
        return f"complete of {self.upstream}" if self.upstream else "complete"

    @property
    def unit(self) -> Unit:
        return "share"

    @property
    def op(self) -> Literal[">"]:
        return ">"

    @property
    def p0(self) -> float:
        """From this share of incomplete answers on, the gate does not hold."""
        return round(1 - self.limit, 9)

    @property
    def uses_complete(self) -> bool:
        return True

    def upstreams(self) -> tuple[str, ...]:
        return (self.upstream,) if self.upstream else ()

    def requests(self) -> tuple[str, ...]:
        return (self.request,) if self.request else ()

    @property
    def allowed_share(self) -> float | None:
        return self.p0

    def moments(self, confidence: float) -> int:
        return moments_for_share(self.p0, confidence)

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        if not names.upstreams:
            message = "without upstreams no answer can be incomplete"
            yield GateDiagnostic(message, "add `upstreams`, or remove the gate")
            return
        unmarked = [name for name in names.unmarked if self.upstream in (None, name)]
        if unmarked:
            message = f"nothing in an answer of the service would show that it lacks {', '.join(unmarked)}"
            yield GateDiagnostic(message, f"{names.mark_fix}, or remove the gate")
        elif not names.looks_into_answers:
            yield GateDiagnostic("with `complete: none` no answer is checked", "remove `complete: none`")
        asked = {name: asks for name, asks in names.asks.items() if self.request in (None, name)}
        if self.upstream in names.upstreams and not any(self.upstream in asks for asks in asked.values()):
            found = f"no request that the gate counts asks `{self.upstream}`"
            yield GateDiagnostic(found, f"add `{self.upstream}` to the `asks` of one", self.upstream or "")
        if self.quorum:
            yield from self._other_numbers(self.quorum, asked)

    def _other_numbers(self, quorum: Quorum, asked: dict[str, tuple[str, ...]]) -> Iterable[GateDiagnostic]:
        """A diagnostic if a request that counts does not ask as many upstreams as the gate says."""
        other = next(((name, len(asks)) for name, asks in asked.items() if len(asks) != quorum.asked), None)
        if other is None:
            return
        name, number = other
        written = f"{quorum.least}/{quorum.asked}"
        suited = next((each for each, asks in asked.items() if len(asks) == quorum.asked), None)
        if suited is not None:
            named = suited if re.fullmatch(r"[a-z][a-z0-9-]*", suited) else f'"{suited}"'
            fix = f"name the request that does: complete {written} for {named}"
        elif number:
            fix = f"write complete {min(quorum.least, number)}/{number}"
        else:
            fix = "name a request that asks upstreams, such as complete 1/2 for REQUEST"
        yield GateDiagnostic(f"the request `{name}` asks {number} upstreams, not {quorum.asked}", fix, written)

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.exceedance import InconclusiveReason, Population, decide_share, guard_too_short, rule_of

        if pool.plan.load.complete == "none":
            reason = "answers were not checked (`load.complete` is none)"
            return self._inconclusive(FindingKind.ANSWERS_NOT_READ, reason)
        if self.phase == "baseline" and (short := guard_too_short(pool)):
            return self._inconclusive(short.kind, short.reason)
        population = Population(self.phase, self.request, every_part=True, asks=self.upstream, asking=True)
        decision = decide_share(pool, population, self.incomplete, rule_of(pool.plan, self.p0, alpha_fail))
        if isinstance(decision, InconclusiveReason):
            return self._inconclusive(decision.kind, decision.reason)
        return self._finding(pool, population, decision)

    def _finding(self, pool: Pool, population: Population, decision: Decision) -> Finding:
        from harness.gates.exceedance import ShareWords, finding_of
        from harness.gates.shares.missing import who_is_missing

        missing = None
        if decision.verdict != "pass":
            missing = who_is_missing(pool, population, upstream=self.upstream, faulted=self.quorum is not None)
        words = ShareWords(f"{self._did}{missing.text if missing else ''}", self.p0)
        finding = finding_of(decision, words, limit=self.limit, unit="share", op=">")
        if not decision.n:
            return finding
        lacking = missing is not None and missing.names_an_upstream and decision.verdict == "fail"
        return dataclasses.replace(  # shown as in the gate: the share that is complete
            finding,
            kind=FindingKind.ROWS_MISSING if lacking else finding.kind,
            observed=1 - decision.k / decision.n,
            low=1 - decision.high,
            high=1 - decision.low,
        )

    def in_baseline(self) -> Gate | None:
        return dataclasses.replace(self, phase="baseline")

    def breaks(self, finding: Finding) -> bool:
        return bool(finding.n) and finding.exceeded is not None and finding.exceeded / finding.n >= self.p0

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        if finding.verdict == "inconclusive":
            return GateDefaults.advice(self, finding, ctx)
        lacking = finding.kind == FindingKind.ROWS_MISSING
        see = "look at an answer that lacks an upstream" if lacking else "see how the requests ended"
        if self.quorum:
            return f"Answer with the rows of the upstreams that did answer, without waiting for the others; {see}."
        return f"Answer with the rows of every healthy upstream even when one is missing; {see}."

    def incomplete(self, run: Evidence, window: Window) -> NDArray[np.bool_]:
        """For each request: whether it counts against this gate."""
        import numpy as np

        from harness.evidence.completeness import asked, complete, lacking

        if self.quorum:
            held = np.bitwise_count(asked(run, window) & window.samples["answered"])
            few: NDArray[np.bool_] = ~window.ok | (held < self.quorum.least)
            return few
        if self.upstream is None:
            return ~complete(run, window)
        bit = np.uint64(1 << run.plan.upstream(self.upstream).index)
        without: NDArray[np.bool_] = ~window.ok | (lacking(run, window) & bit != 0)
        return without

    @property
    def _did(self) -> str:
        if self.quorum:
            return f"had fewer than {self.quorum.least} of the {self.quorum.asked} upstreams"
        return f"lacked {self.upstream} or failed" if self.upstream else "were not complete"

    def _inconclusive(self, kind: FindingKind, reason: str) -> Finding:
        return Finding("inconclusive", reason, self.limit, "share", ">", kind)


def _quorum(words: Tokens) -> Quorum | None:
    """The `6/8` after `complete`; None if it is not there."""
    offset = words.offset
    match = _QUORUM.fullmatch(words.peek())
    if match is None:
        return None
    words.take()
    least, asked = int(match[1]), int(match[2])
    if not 1 <= asked <= _ASKED_MOST:
        raise GateSyntaxError(f"a request asks from 1 to {_ASKED_MOST} upstreams, not {asked}", "complete 6/8", offset)
    if not 1 <= least <= asked:
        fix = f"complete {min(max(least, 1), asked)}/{asked}"
        raise GateSyntaxError(f"of {asked} upstreams an answer can hold from 1 to {asked}, not {least}", fix, offset)
    return Quorum(least, asked)
