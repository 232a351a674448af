"""`errors = 0`: not one request may fail. Also for timeouts, and for one outcome by its name.

One that fails is a FAIL, a fact that needs no statistics. A PASS says which share of failures so many independent
moments exclude: 1 − α^(1/n), where n is the smaller of the requests and of the clumps that the phase holds. It is the
Clopper-Pearson upper bound of none in n.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from harness.gates.gate import Finding, Gate, GateDefaults, Unit
from harness.gates.shares.outcomes import counted, did
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.rundir.finding_kind import FindingKind
from harness.units import format_share, format_things

if TYPE_CHECKING:
    from harness.evidence import Pool
    from harness.gates.reference.baseline_file import FailedShare


@dataclass(frozen=True, slots=True)
class NoneGate(GateDefaults):
    """`metric`: `errors`, `timeouts`, or an outcome's name."""

    text: str
    metric: str
    request: str | None
    phase: str

    @classmethod
    def parse_rest(cls, words: Tokens, metric: str, request: str | None) -> Self:
        """Parses what follows the metric and the request: `= 0`, and the phase."""
        start = words.offset
        before = words.text[:start]
        equals, number = words.take(), words.take("`0`", f"{before}= 0")
        if number.text != "0":
            after = words.text[number.offset + len(number.text) :]
            share = number.text if number.text.endswith("%") else f"{number.text}%"
            zero = share.rstrip("%").strip("0.") == ""
            fix = f"{before}= 0{after}" if zero else f"{before}< {share}{after}"
            raise GateSyntaxError("only `= 0` can be shown of a number of requests", f"write `{fix}`", start)
        if equals.text != "=":
            after = words.text[equals.offset + len(equals.text) :].lstrip()
            raise GateSyntaxError("write `=` for `==`", f"write `{before}= {after}`", start)
        return cls(words.text, metric, request, words.phase())

    @property
    def op(self) -> Literal["="]:
        return "="

    @property
    def unfit_for_one_rate(self) -> str:
        return "one failure decides it, so it depends on how many requests a load has"

    @property
    def unit(self) -> Unit:
        return "share"

    def requests(self) -> tuple[str, ...]:
        return (self.request,) if self.request else ()

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.exceedance import Population, ShareWords, bad_endings, describe_stopped, guard_too_short

        if self.phase == "baseline" and (short := guard_too_short(pool)):
            return self._finding("inconclusive", short.kind, short.reason)
        population, bad = Population(self.phase, self.request, every_part=True), counted(self.metric)
        windows = population.windows(pool)
        known = [
            window if run.cutoff_ns is None else window.only(window.samples["done_ns"] <= run.cutoff_ns)
            for run, window in zip(pool.runs, windows, strict=True)
        ]
        n = sum(len(window.samples) for window in known)
        k = sum(int(bad(run, window).sum()) for run, window in zip(pool.runs, known, strict=True))
        if k:
            endings = bad_endings(pool, population, bad)
            clause = ShareWords(did(self.metric), 0.0, endings=endings).counted(k, n)
            failed = self._finding("fail", FindingKind.EXCEEDED, f"{clause}; not one may", n=n, k=k)
            return dataclasses.replace(failed, seen=clause, endings=endings)
        if any(window.cut for window in windows):
            stopped = describe_stopped(pool)
            return self._finding("inconclusive", stopped.kind, stopped.reason, n=n)
        if not n:
            return self._finding("inconclusive", FindingKind.NO_ARRIVALS, "no request arrived in this phase")
        excluded = excluded_share(
            n, sum(window.seconds for window in windows), pool.plan.verdict.clump_ms, pool.plan.verdict.confidence
        )
        seen = f"none of {format_things(n, 'request')} {did(self.metric)}"
        reason = f"{seen}; so many exclude {format_share(excluded)} and more, and no smaller share"
        passed = self._finding("pass", FindingKind.HELD, reason, n=n)
        return dataclasses.replace(passed, seen=seen, high=excluded)

    def cannot_pass(self, pool: Pool, *, alpha_fail: float) -> Finding | None:
        finding = self.judge(pool, alpha_fail=alpha_fail)
        return finding if finding.verdict == "fail" else None

    def in_baseline(self) -> Gate | None:
        return dataclasses.replace(self, phase="baseline")

    def breaks(self, finding: Finding) -> bool:
        return bool(finding.exceeded)

    def own_figure(self, pool: Pool) -> FailedShare | None:
        from harness.gates.shares.share_bounds import own_share

        return own_share(pool, self.metric, self.request, self.phase)

    def _finding(
        self,
        verdict: Literal["pass", "fail", "inconclusive"],
        kind: FindingKind,
        reason: str,
        *,
        n: int = 0,
        k: int = 0,
    ) -> Finding:
        return Finding(
            verdict=verdict,
            reason=reason,
            limit=0.0,
            unit="share",
            op="=",
            kind=kind,
            observed=k / n if n else None,
            low=0.0 if n and not k else None,
            n=n,
            exceeded=k,
        )


def excluded_share(n: int, seconds: float, clump_ms: float, confidence: float) -> float:
    """The share of failures from which on `n` requests without one in `seconds` would be too unlikely, from 0 to 1."""
    moments = min(float(n), seconds * 1000 / clump_ms) if clump_ms else float(n)
    return float(1 - (1 - confidence) ** (1 / moments)) if moments > 0 else 1.0
