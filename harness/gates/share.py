"""Share gates: `errors < 1%`, `timeouts < 0.5%`, one outcome by its name, `complete > 99%`.

Each is decided by how many of the requests count against it. A request counts against `complete` unless its answer is
ok and holds the rows of every upstream that it asks and that had no fault.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import AdviceContext, Finding, Gate, GateDefaults, Unit, moments_for_share
from harness.gates.missing import who_is_missing
from harness.gates.syntax.tokenizer import Tokens
from harness.rundir.finding_kind import FindingKind
from harness.rundir.rows import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from harness.evidence import Evidence, Pool, Window

BAD_OUTCOMES: Final[dict[str, tuple[Outcome, ...]]] = {
    "errors": tuple(outcome for outcome in Outcome if outcome is not Outcome.OK),
    "timeouts": (Outcome.GATEWAY_TIMEOUT, Outcome.CLIENT_TIMEOUT),
    **{outcome.name.lower(): (outcome,) for outcome in Outcome if outcome is not Outcome.OK},
}
_DID: Final = {
    "errors": "did not end ok",
    "timeouts": "timed out",
    "complete": "were not complete",
    "dropped": "found no free slot and were dropped",
    "unfinished": "were still open when the drain ended",
}


@dataclass(frozen=True, slots=True)
class ShareGate(GateDefaults):
    EXAMPLES: ClassVar[tuple[str, ...]] = (
        "errors < 1% during azure-latency",
        "timeouts < 1% during azure-latency",
        "complete > 99% during azure-latency",
    )
    WORDS: ClassVar[tuple[str, ...]] = (*BAD_OUTCOMES, "complete")

    text: str
    metric: str
    """`errors`, `timeouts`, an outcome's name, or `complete`."""
    request: str | None
    limit: float
    """As written: 0.01 for `errors < 1%`, 0.99 for `complete > 99%`."""
    phase: str

    @classmethod
    def reads(cls, word: str) -> bool:
        return word in BAD_OUTCOMES or word == "complete"

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        metric = words.take().text
        complete = metric == "complete"
        example = "complete > 99%" if complete else f"{metric} < 1%"
        request = words.request()
        words.comparison(">" if complete else "<", example)
        limit = words.share("99%" if complete else "1%")
        return cls(words.text, metric, request, limit, words.phase())

    @property
    def op(self) -> Literal["<", ">"]:
        return ">" if self.uses_complete else "<"

    @property
    def unit(self) -> Unit:
        return "share"

    @property
    def p0(self) -> float:
        """From this share of requests that count against it on, the gate does not hold."""
        return round(1 - self.limit, 9) if self.uses_complete else self.limit

    @property
    def uses_complete(self) -> bool:
        return self.metric == "complete"

    def requests(self) -> tuple[str, ...]:
        return (self.request,) if self.request else ()

    @property
    def allowed_share(self) -> float | None:
        return self.p0

    def moments(self, confidence: float) -> int:
        return moments_for_share(self.p0, confidence)

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        if not self.uses_complete:
            return
        if not names.upstreams:
            message = "without upstreams no answer can be incomplete"
            yield GateDiagnostic(message, "add `upstreams`, or remove the gate")
        elif names.unmarked:
            message = f"nothing in an answer of the service would show that it lacks {', '.join(names.unmarked)}"
            yield GateDiagnostic(message, f"{names.mark_fix}, or remove the gate")
        elif not names.looks_into_answers:
            yield GateDiagnostic("with `complete: none` no answer is checked", "remove `complete: none`")

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.exceedance import (
            InconclusiveReason,
            Population,
            ShareWords,
            bad_endings,
            decide_share,
            finding_of,
            guard_too_short,
            rule_of,
        )

        if self.uses_complete and pool.plan.load.complete == "none":
            reason = "answers were not checked (`load.complete` is none)"
            return self._inconclusive(FindingKind.ANSWERS_NOT_READ, reason)
        if self.phase == "baseline" and (short := guard_too_short(pool)):
            return self._inconclusive(short.kind, short.reason)
        population = Population(self.phase, self.request, every_part=True)
        decision = decide_share(pool, population, self._bad, rule_of(pool.plan, self.p0, alpha_fail))
        if isinstance(decision, InconclusiveReason):
            return self._inconclusive(decision.kind, decision.reason)
        words = ShareWords(_DID.get(self.metric, f"ended as {self.metric}"), self.p0)
        observed = decision.k / decision.n if decision.n else None
        bounds = (observed, decision.low, decision.high) if decision.n else (None, None, None)
        rows_missing = False
        if self.uses_complete:  # shown as in the gate: the share that is complete
            observed, high, low = (None if bad is None else 1 - bad for bad in bounds)
            if decision.verdict != "pass":
                missing = who_is_missing(pool, population)
                rows_missing = missing.names_an_upstream
                words = dataclasses.replace(words, did=f"{words.did}{missing.text}")
        else:
            observed, low, high = bounds
            words = dataclasses.replace(words, endings=bad_endings(pool, population, self._bad))
        finding = finding_of(decision, words, limit=self.limit, unit="share", op=self.op)
        kind = FindingKind.ROWS_MISSING if rows_missing and decision.verdict == "fail" else finding.kind
        return dataclasses.replace(finding, kind=kind, observed=observed, low=low, high=high)

    def cannot_pass(self, pool: Pool, *, alpha_fail: float) -> Finding | None:
        if self.uses_complete:
            return None  # upstreams with a fault do not count, and only the finished journal says when they had one
        finding = self.judge(pool, alpha_fail=alpha_fail)
        return finding if finding.verdict == "fail" else None

    def in_baseline(self) -> Gate | None:
        return dataclasses.replace(self, phase="baseline")

    def breaks(self, finding: Finding) -> bool:
        return bool(finding.n) and finding.exceeded is not None and finding.exceeded / finding.n >= self.p0

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        if finding.verdict == "inconclusive" or not self.uses_complete:
            return GateDefaults.advice(self, finding, ctx)
        lacking = finding.kind == FindingKind.ROWS_MISSING
        see = "look at an answer that lacks an upstream" if lacking else "see how the requests ended"
        return f"Answer with the rows of every healthy upstream even when one is missing; {see}."

    def _bad(self, run: Evidence, window: Window) -> NDArray[np.bool_]:
        """For each request: whether it counts against this gate."""
        import numpy as np

        from harness.evidence.completeness import complete

        if self.uses_complete:
            return ~complete(run, window)
        counted = np.zeros(256, np.bool_)
        counted[list(BAD_OUTCOMES[self.metric])] = True
        bad: NDArray[np.bool_] = counted[window.samples["outcome"]]
        return bad

    def _inconclusive(self, kind: FindingKind, reason: str) -> Finding:
        return Finding("inconclusive", reason, self.limit, "share", self.op, kind)
