"""Share gates: `errors < 1%`, `timeouts < 0.5%`, one outcome by its name, `complete > 99%`.

Each is the share of requests of some kind, decided as (k, n). `complete` counts what is missing: an
answer is complete when it is ok and holds the rows of every upstream asked that had no fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from harness.gates.context import GateDiagnostic, ScenarioNames, ScenarioWindows
from harness.gates.gate import Finding, moments_for_share
from harness.gates.missing import who_is_missing
from harness.gates.syntax.tokenizer import Tokens
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
class ShareGate:
    text: str
    metric: str
    """`errors`, `timeouts`, an outcome's name, or `complete`."""
    request: str | None
    limit: float
    """As written: 0.01 for `errors < 1%`, 0.99 for `complete > 99%`."""
    phase: str

    uses_gateway_timeout: ClassVar[bool] = False
    uses_main: ClassVar[bool] = False

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
    def p0(self) -> float:
        """The share of bad requests that the gate forbids."""
        return round(1 - self.limit, 9) if self.uses_complete else self.limit

    @property
    def uses_complete(self) -> bool:
        return self.metric == "complete"

    def phases(self) -> tuple[str, ...]:
        return (self.phase,)

    def upstreams(self) -> tuple[str, ...]:
        return ()

    def requests(self) -> tuple[str, ...]:
        return (self.request,) if self.request else ()

    def moments(self, confidence: float) -> int:
        return moments_for_share(self.p0, confidence)

    def load_needed_after_ms(self, rate_per_s: float) -> float:
        return 0.0

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None:
        return None

    def window_needed_ms(self) -> float:
        return 0.0

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        if self.uses_complete and not names.looks_into_answers:
            yield GateDiagnostic("with `complete: none` no answer is looked into", "remove `complete: none`")
        elif self.uses_complete and not names.upstreams:
            message = "without upstreams no answer can be incomplete"
            yield GateDiagnostic(message, "add `upstreams`, or remove the gate")

    def window_diagnostics(self, windows: ScenarioWindows) -> Iterable[GateDiagnostic]:
        return ()

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.exceedance import (
            InconclusiveReason,
            Population,
            decide_share,
            describe,
            guard_too_short,
            rule_of,
        )

        if self.uses_complete and pool.plan.load.complete == "none":
            return self._undecided("answers were not looked into (`load.complete` is none)")
        if self.phase == "baseline" and (reason := guard_too_short(pool)):
            return self._undecided(reason)
        population = Population(self.phase, self.request, every_part=True)
        decision = decide_share(pool, population, self._bad, rule_of(pool.plan, self.p0, alpha_fail))
        if isinstance(decision, InconclusiveReason):
            return self._undecided(decision.reason)
        observed = decision.k / decision.n if decision.n else None
        bounds = (observed, decision.low, decision.high) if decision.n else (None, None, None)
        if self.uses_complete:  # shown as written: the share that is whole
            observed, high, low = (None if bad is None else 1 - bad for bad in bounds)
        else:
            observed, low, high = bounds
        did = _DID.get(self.metric, f"ended as {self.metric}")
        if self.uses_complete and decision.verdict != "pass":
            did += who_is_missing(pool, population)
        return Finding(
            verdict=decision.verdict,
            reason=describe(decision, did, self.p0),
            limit=self.limit,
            unit="share",
            op=self.op,
            observed=observed,
            low=low,
            high=high,
            n=decision.n,
            exceeded=decision.k,
            deflation=decision.deflation,
            withstands_ms=None if decision.withstands_s is None else decision.withstands_s * 1000,
        )

    def _bad(self, run: Evidence, window: Window) -> NDArray[np.bool_]:
        """Of each request: does it count against this gate?"""
        import numpy as np

        from harness.evidence.completeness import complete

        if self.uses_complete:
            return ~complete(run, window)
        counted = np.zeros(256, np.bool_)
        counted[list(BAD_OUTCOMES[self.metric])] = True
        bad: NDArray[np.bool_] = counted[window.samples["outcome"]]
        return bad

    def _undecided(self, reason: str) -> Finding:
        return Finding("inconclusive", reason, self.limit, "share", self.op)
