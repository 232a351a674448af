"""`recovery < 15s after FAULT`: how long after the fault's removal the service is as fast as before.

It has recovered when five windows in a row have a p90 of at most 1.25 times the baseline's p90, or of at most 10 ms
more than that p90, where a request that does not end ok has an infinite latency. A service that stays slow under the
same load is called metastable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from harness.gates.gate import AdviceContext, Finding, GateDefaults, GateVerdict
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.rundir.finding_kind import FindingKind
from harness.units import NS_PER_MS, NS_PER_S, duration_literal, format_duration, parse_duration_ms

if TYPE_CHECKING:
    from harness.evidence import Evidence, Pool

WINDOWS_IN_A_ROW: Final = 5
WINDOW_ARRIVALS: Final = 100
WINDOW_MS_MIN: Final = 1000.0
BACK_WITHIN: Final = 1.25
"""A window is as fast as before if its p90 is at most this many times the baseline's."""
TOLD_APART_MS: Final = 10.0
"""It is also as fast as before if its p90 is at most so much longer. A load generator may be late by as much
(`harness.verdict.bad_seconds.late`), and a quarter of some milliseconds is what a busy machine adds by itself."""
_EXAMPLE = "recovery < 15s after FAULT"


def window_ms(rate_per_s: float) -> float:
    """The length of one window: one second, or the time in which a hundred requests arrive if that is longer."""
    return max(WINDOW_MS_MIN, 1000 * WINDOW_ARRIVALS / rate_per_s) if rate_per_s > 0 else WINDOW_MS_MIN


@dataclass(frozen=True, slots=True)
class RecoveryGate(GateDefaults):
    EXAMPLES: ClassVar[tuple[str, ...]] = ("recovery < 15s after azure-latency",)

    text: str
    fault: str
    limit_ms: float

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        words.comparison("<", _EXAMPLE)
        limit_ms = words.quantity(parse_duration_ms, "a duration", _EXAMPLE)
        if not words.accept("after"):
            fix = f"recovery < {duration_literal(limit_ms)} after FAULT"
            raise GateSyntaxError("a `recovery` gate needs the name of a fault", fix, words.offset)
        return cls(words.text, words.name("a fault's name", _EXAMPLE), limit_ms)

    @property
    def metric(self) -> str:
        return "recovery"

    @property
    def phase(self) -> str:
        return f"after {self.fault}"

    def phases(self) -> tuple[str, ...]:
        return (self.phase, "baseline")

    def load_needed_after_ms(self, rate_per_s: float) -> float:
        """The limit and five windows. The guard of a fault that follows is not included."""
        return self.limit_ms + WINDOWS_IN_A_ROW * window_ms(rate_per_s)

    @property
    def unfit_for_one_rate(self) -> str:
        return "a fault is on for its whole curve, so nothing recovers"

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        """Judge each run by itself; the worst counts. A time is measured and no share, so `alpha_fail` is not used."""
        outcomes = [_outcome(run, self) for run in pool.runs]
        worst = next(o for verdict in ("fail", "inconclusive", "pass") for o in outcomes if o.verdict == verdict)
        times = [o.back_ms for o in outcomes if o.back_ms is not None]
        return Finding(
            verdict=worst.verdict,
            reason=worst.reason,
            limit=self.limit_ms,
            unit="ms",
            op="<",
            kind=worst.kind,
            observed=max(times) if len(times) == len(outcomes) else None,
            n=sum(o.n for o in outcomes),
        )

    def headline(self, finding: Finding) -> str:
        return f"the service did not recover in time: {finding.reason}"

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        if finding.verdict == "fail":
            return (
                "Look for what the service still holds after the fault: retries, full queues, connection pools, "
                "threads."
            )
        if finding.kind == FindingKind.BASELINE_BROKEN:
            return "First repair what fails without a fault; until then there is nothing to return to."
        return "Let the load go on longer after the fault: raise `load.recovery`."


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The gate in one run. `n`: requests after the fault; `back_ms`: when the service had recovered, if it had."""

    verdict: GateVerdict
    kind: FindingKind
    reason: str
    n: int
    back_ms: float | None = None


def _outcome(run: Evidence, gate: RecoveryGate) -> _Outcome:
    import numpy as np

    from harness.statistics import nearest_rank

    baseline, after = run.window("baseline"), run.window(gate.phase)
    n = len(after.samples)
    if not len(baseline.samples) or not n:
        reason = "no request arrived in the baseline, or none after the fault"
        return _Outcome("inconclusive", FindingKind.NO_ARRIVALS, reason, n)
    usual_ns = int(nearest_rank(baseline.latency_ns, [0.9])[0])
    if not baseline.ok[baseline.latency_ns <= usual_ns].all():
        reason = "the baseline itself has more than 10 % errors: there is nothing to return to"
        return _Outcome("inconclusive", FindingKind.BASELINE_BROKEN, reason, n)
    end_ns = after.end_ns if run.stop_ns is None else min(after.end_ns, run.stop_ns)
    width_ns = round(window_ms(n / ((end_ns - after.start_ns) / NS_PER_S)) * NS_PER_MS)
    count = (end_ns - after.start_ns) // width_ns
    number = (after.samples["intended_ns"] - after.start_ns) // width_ns
    arrivals = np.bincount(number, minlength=count)[:count]
    back_ns = max(BACK_WITHIN * usual_ns, usual_ns + TOLD_APART_MS * NS_PER_MS)
    slow = np.bincount(number[after.latency_ns > back_ns], minlength=count)[:count]
    # the p90 by nearest rank is within the bound exactly if at least as many arrivals as that rank are
    good = (arrivals > 0) & (arrivals - slow >= np.ceil(np.round(0.9 * arrivals, 6)))
    if run.bad_seconds:  # a window may be empty because late seconds of the load generator were left out
        good |= arrivals == 0
    return _decide(gate, good.tolist(), width_ns / NS_PER_MS, n, 2 * run.clock_uncertainty_ns / NS_PER_MS)


def _decide(gate: RecoveryGate, good: list[bool], width_ms: float, n: int, unsure_ms: float = 0.0) -> _Outcome:
    """`good`: for each window from the removal on, whether it was as fast as the baseline. `unsure_ms`: by how much
    longer it may have taken, since the arrivals' times come from clocks of other machines."""
    row = WINDOWS_IN_A_ROW
    back = next((i for i in range(len(good) - row + 1) if all(good[i : i + row])), None)
    limit = format_duration(gate.limit_ms)
    if back is not None:
        back_ms = back * width_ms + unsure_ms
        taken = f"back after {format_duration(back_ms)}"
        if back_ms < gate.limit_ms:
            return _Outcome("pass", FindingKind.HELD, f"{taken}, limit {limit}", n, back_ms)
        return _Outcome("fail", FindingKind.NOT_BACK, f"{taken}, limit {limit}", n, back_ms)
    starts = [i for i in range(len(good) + row) if i * width_ms < gate.limit_ms]
    held_ms = len(good) * width_ms
    if all(not all(good[i : i + row]) for i in starts):
        state = "metastable: " if held_ms >= gate.limit_ms + row * width_ms else ""
        reason = f"{state}not back while the load went on for another {format_duration(held_ms)}, limit {limit}"
        return _Outcome("fail", FindingKind.NOT_BACK, reason, n)
    needed = f"{limit} and {row} windows of {format_duration(width_ms)}"
    reason = f"the load ended {format_duration(held_ms)} after the fault, too early to tell: it takes {needed}"
    return _Outcome("inconclusive", FindingKind.TOO_EARLY, reason, n)
