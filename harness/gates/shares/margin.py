"""`errors < main + 0.5%`: no more failures than on main, with a margin (non-inferiority).

A difference is bounded and no ratio, since a ratio of 1.1 would want some 1,700 failures on each side, and a main
without failures would make its limit zero. Both runs have their share of the allowed error: PASS where the upper bound
of this run is below the lower bound of main plus the margin, FAIL where its lower bound reaches main's upper bound plus
the margin.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from harness.gates.gate import Finding, GateDefaults, Unit, moments_for_share
from harness.gates.shares.outcomes import counted, did
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.rundir.finding_kind import FindingKind
from harness.units import format_share

if TYPE_CHECKING:
    from harness.evidence import Pool
    from harness.gates.reference.baseline_file import FailedShare

_MAIN: Final = re.compile(r"main(?=[\s+]|$)|\d+(?:\.\d+)?\s*x\s*main")
_MARGIN: Final = re.compile(r"main\s*\+\s*(?=\S)")


@dataclass(frozen=True, slots=True)
class MarginGate(GateDefaults):
    """`metric`: `errors`, `timeouts`, or an outcome's name. `margin`: as a fraction, 0.005 for `main + 0.5%`."""

    text: str
    metric: str
    request: str | None
    margin: float
    phase: str

    @classmethod
    def is_meant(cls, words: Tokens) -> bool:
        """Whether the limit, which follows, is about main."""
        return _MAIN.match(words.text, words.offset) is not None

    @classmethod
    def parse_rest(cls, words: Tokens, metric: str, request: str | None) -> Self:
        """Parses what follows the comparison: `main + 0.5%`, and the phase."""
        start, before = words.offset, words.text[: words.offset]
        match = _MARGIN.match(words.text, start)
        if match is None:
            meant = _MAIN.match(words.text, start)
            after = words.text[meant.end() if meant else start :]
            reason = "failures are compared with main by a margin, as a share of the requests"
            raise GateSyntaxError(reason, f"write `{before}main + 0.5%{after}`", start)
        words.skip_to(match.end())
        return cls(words.text, metric, request, words.share("main + 0.5%"), words.phase())

    @property
    def unit(self) -> Unit:
        return "share"

    @property
    def uses_main(self) -> bool:
        return True

    def requests(self) -> tuple[str, ...]:
        return (self.request,) if self.request else ()

    def moments(self, confidence: float) -> int:
        return moments_for_share(self.margin, (1 + confidence) / 2)

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.exceedance import (
            InconclusiveReason,
            Population,
            ShareWords,
            bad_endings,
            decide_share,
            finding_of,
            guard_too_short,
        )
        from harness.gates.reference.main import main_share
        from harness.gates.shares.share_bounds import margin_rules, of_both

        main = main_share(pool.runs[0], metric=self.metric, request=self.request, phase=self.phase)
        if isinstance(main, InconclusiveReason):
            return self._inconclusive(main.kind, main.reason)
        if self.phase == "baseline" and (short := guard_too_short(pool)):
            return self._inconclusive(short.kind, short.reason)
        clump_s = pool.plan.verdict.clump_ms / 1000
        rules = margin_rules(main, self.margin, (round(1 - pool.plan.verdict.confidence, 9), alpha_fail), clump_s)
        population, bad = Population(self.phase, self.request, every_part=True), counted(self.metric)
        failing, passing = (decide_share(pool, population, bad, rule) for rule in rules)
        if isinstance(failing, InconclusiveReason):
            return self._inconclusive(failing.kind, failing.reason)
        if isinstance(passing, InconclusiveReason):
            return self._inconclusive(passing.kind, passing.reason)
        decision = of_both(failing, passing)
        high, low = (rule.p0 - self.margin for rule in rules)
        limit = main.exceeded / main.n + self.margin
        words = ShareWords(did(self.metric), limit, endings=bad_endings(pool, population, bad))
        finding = finding_of(decision, words, limit=limit, unit="share", op="<")
        said = f"{finding.reason} (main had {self._of_main(main, low, high)}, and the margin is "
        finding = dataclasses.replace(finding, reason=f"{said}{format_share(self.margin)})")
        if not decision.n:
            return finding
        return dataclasses.replace(finding, observed=decision.k / decision.n, low=decision.low, high=decision.high)

    def breaks(self, finding: Finding) -> bool:
        return finding.observed is not None and finding.limit is not None and finding.observed >= finding.limit

    def own_figure(self, pool: Pool) -> FailedShare | None:
        from harness.gates.shares.share_bounds import own_share

        return own_share(pool, self.metric, self.request, self.phase)

    def _of_main(self, main: FailedShare, low: float, high: float) -> str:
        return f"{format_share(main.exceeded / main.n)}, from {format_share(low)} to {format_share(high)}"

    def _inconclusive(self, kind: FindingKind, reason: str) -> Finding:
        return Finding("inconclusive", reason, None, "share", "<", kind)
