"""`errors < 1%`, `timeouts < 0.5%`, or one outcome by its name: the share of the requests that failed.

It is decided by how many of the requests count against it. The words `errors = 0` and `errors < main + 0.5%` make a
gate of another kind, in a module of its own.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from harness.gates.gate import Finding, Gate, GateDefaults, Unit, moments_for_share
from harness.gates.shares.margin import MarginGate
from harness.gates.shares.outcomes import counted, did
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.rundir.finding_kind import FindingKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.evidence import Evidence, Pool, Window
    from harness.gates.reference.baseline_file import FailedShare

_BELOW_ZERO: Final = re.compile(r"<=?\s*(0(?:\.0+)?%?)(?=\s|$)")


@dataclass(frozen=True, slots=True)
class ShareGate(GateDefaults):
    EXAMPLES: ClassVar[tuple[str, ...]] = (
        "errors < 1% during azure-latency",
        "timeouts < 1% during azure-latency",
        "errors = 0 during baseline",
        "errors < main + 0.5% during azure-latency",
    )

    text: str
    metric: str
    """`errors`, `timeouts`, or an outcome's name."""
    request: str | None
    limit: float
    """As a fraction: 0.01 for `errors < 1%`."""
    phase: str

    @classmethod
    def parse(cls, words: Tokens) -> Gate:
        metric = words.take().text
        request = words.request()
        if words.peek() in ("=", "=="):
            from harness.gates.shares.none_of import NoneGate  # a late import, since most gates allow a share

            return NoneGate.parse_rest(words, metric, request)
        _refuse_below_zero(words)
        words.comparison("<", f"{metric} < 1%")
        if MarginGate.is_meant(words):
            return MarginGate.parse_rest(words, metric, request)
        limit = words.share("1%")
        return cls(words.text, metric, request, limit, words.phase())

    @property
    def unit(self) -> Unit:
        return "share"

    @property
    def p0(self) -> float:
        """From this share of requests that count against it on, the gate does not hold."""
        return self.limit

    def requests(self) -> tuple[str, ...]:
        return (self.request,) if self.request else ()

    @property
    def allowed_share(self) -> float | None:
        return self.p0

    def moments(self, confidence: float) -> int:
        return moments_for_share(self.p0, confidence)

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

        if self.phase == "baseline" and (short := guard_too_short(pool)):
            return self._inconclusive(short.kind, short.reason)
        population = Population(self.phase, self.request, every_part=True)
        decision = decide_share(pool, population, self._bad, rule_of(pool.plan, self.p0, alpha_fail))
        if isinstance(decision, InconclusiveReason):
            return self._inconclusive(decision.kind, decision.reason)
        words = ShareWords(did(self.metric), self.p0, endings=bad_endings(pool, population, self._bad))
        finding = finding_of(decision, words, limit=self.limit, unit="share", op="<")
        if not decision.n:
            return finding
        return dataclasses.replace(finding, observed=decision.k / decision.n, low=decision.low, high=decision.high)

    def cannot_pass(self, pool: Pool, *, alpha_fail: float) -> Finding | None:
        finding = self.judge(pool, alpha_fail=alpha_fail)
        return finding if finding.verdict == "fail" else None

    def in_baseline(self) -> Gate | None:
        return dataclasses.replace(self, phase="baseline")

    def breaks(self, finding: Finding) -> bool:
        return bool(finding.n) and finding.exceeded is not None and finding.exceeded / finding.n >= self.p0

    def own_figure(self, pool: Pool) -> FailedShare | None:
        from harness.gates.shares.share_bounds import own_share

        return own_share(pool, self.metric, self.request, self.phase)

    def _bad(self, run: Evidence, window: Window) -> NDArray[np.bool_]:
        """For each request: whether it counts against this gate."""
        return counted(self.metric)(run, window)

    def _inconclusive(self, kind: FindingKind, reason: str) -> Finding:
        return Finding("inconclusive", reason, self.limit, "share", "<", kind)


def _refuse_below_zero(words: Tokens) -> None:
    """Refuse `< 0`, `<= 0` and `< 0%`: no share is below zero, and what is meant is `= 0`."""
    if match := _BELOW_ZERO.match(words.text, words.offset):
        fix = f"write `{words.text[: words.offset]}= 0{words.text[match.end() :]}`"
        raise GateSyntaxError("no share is below zero; `= 0` says that not one may fail", fix, match.start(1))
