"""`throughput [for REQUEST] > N/s`: requests that ended ok per second of intended time, bounded by batch means.

`throughput > 0.8x main` takes its limit from the file of --baseline. It decides only where both runs planned the same
rate, since an open load can pass on no more than was sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Final, Self

from harness.gates.context import GateDiagnostic, ScenarioWindows
from harness.gates.gate import MEAN_MOMENTS, AdviceContext, Finding, Gate, GateDefaults, Unit
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.gates.wording.outcomes import advice_on_endings, from_waiting
from harness.rundir.finding_kind import FindingKind
from harness.units import Span, parse_rate_per_s

_RATIO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*x(?=\s|$)\s*")

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from harness.evidence import Evidence, Pool, Window
    from harness.gates.reference.baseline_file import BaselineFile, SuccessRate
    from harness.rundir.plan import Plan


@dataclass(frozen=True, slots=True)
class ThroughputGate(GateDefaults):
    EXAMPLES: ClassVar[tuple[str, ...]] = ("throughput > 39/s", "throughput > 0.8x main")

    text: str
    request: str | None
    limit_per_s: float | None
    """None: `factor` times main's."""
    factor: float | None
    phase: str

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        request = words.request()
        words.comparison(">", "throughput > 38/s")
        factor = _factor(words)
        limit = words.quantity(parse_rate_per_s, "a rate", "38/s or 90/m") if factor is None else None
        return cls(words.text, request, limit, factor, words.phase())

    @property
    def metric(self) -> str:
        return "throughput"

    @property
    def unit(self) -> Unit:
        return "per_s"

    @property
    def limits_rate(self) -> bool:
        return True

    @property
    def uses_main(self) -> bool:
        return self.factor is not None

    def requests(self) -> tuple[str, ...]:
        return (self.request,) if self.request else ()

    def moments(self, confidence: float) -> int:
        return MEAN_MOMENTS

    def window_diagnostics(self, windows: ScenarioWindows) -> Iterable[GateDiagnostic]:
        planned_per_s = windows.rate_per_s(self.phase, self.requests())
        if planned_per_s is None or self.limit_per_s is None:
            return
        if self.limit_per_s >= planned_per_s:
            of = f" of `{self.request}`" if self.request else ""
            yield GateDiagnostic(
                f"the plan sends {planned_per_s:.4g}/s{of} in `{self.phase}`, so no more than that can end ok",
                "write a lower limit, or raise the rate",
                ">",
            )

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        import numpy as np

        from harness.gates.batch_means import judge_mean
        from harness.gates.exceedance import InconclusiveReason, Population, describe_stopped
        from harness.gates.throughput_limits import limits_of

        limits = limits_of(self, pool)
        if isinstance(limits, InconclusiveReason):
            return Finding("inconclusive", limits.reason, None, "per_s", ">", limits.kind)
        windows = Population(self.phase, self.request, every_part=True).windows(pool)
        if any(window.cut for window in windows):
            reason = describe_stopped(pool).reason
            return Finding("inconclusive", reason, limits.shown, "per_s", ">", FindingKind.STOPPED)
        batches = [success_batches(run, window) for run, window in zip(pool.runs, windows, strict=True)]
        return judge_mean(
            pool,
            np.concatenate([successes for successes, _ in batches]),
            np.concatenate([seconds for _, seconds in batches]),
            n=sum(len(window.samples) for window in windows),
            seconds=sum(window.seconds for window in windows),
            limit=limits,
            below=False,
            unit="per_s",
            alpha_fail=alpha_fail,
        )

    def in_baseline(self) -> Gate | None:
        return None if self.uses_main else replace(self, phase="baseline")

    def own_figure(self, pool: Pool) -> SuccessRate | None:
        from harness.gates.throughput_limits import own_rate

        return own_rate(pool, self.request, self.phase)

    def refuses_main(self, main: BaselineFile, plan: Plan) -> str:
        from harness.gates.throughput_limits import other_rate

        rates = [one for one in main.rates if (one.request, one.phase) == (self.request, self.phase)]
        return other_rate(plan, rates[0]) if rates and self.uses_main else ""

    def advice(self, finding: Finding, ctx: AdviceContext) -> str:
        if finding.verdict == "inconclusive":
            return GateDefaults.advice(self, finding, ctx)
        if not from_waiting(ctx.endings):
            return advice_on_endings(ctx)  # requests that failed at once do not fail because of the rate
        return "Lower the rate until this gate holds, and look at what the service runs out of: threads, sockets, CPU."


def _factor(words: Tokens) -> float | None:
    """The factor of `0.8x main`; None if the limit is a rate."""
    words.refuse_glued()
    offset = words.offset
    match = _RATIO.match(words.text, offset)
    if match is None:
        return None
    words.skip_to(match.end())
    factor = float(match[1])
    of = words.take("`main`", f"{match[1]}x main")
    if of.text != "main":
        reason = f"throughput cannot be compared with `{of.text}`, only with main"
        raise GateSyntaxError(reason, f"throughput > {match[1]}x main", of.offset)
    if not 0 < factor < 1:
        reason = "an open load passes on no more than was sent, so the factor must be above 0 and below 1"
        raise GateSyntaxError(reason, "0.8x main", offset)
    return factor


def success_batches(run: Evidence, window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The requests that ended ok, and the seconds, of each of `BATCHES` equal parts of the window."""
    import numpy as np

    from harness.statistics import BATCHES

    edges = np.linspace(window.start_ns, window.end_ns, BATCHES + 1).astype(np.int64)
    successes, _ = np.histogram(window.samples["intended_ns"][window.ok], bins=edges)
    seconds = [run.seconds([Span(int(start), int(end))]) for start, end in pairwise(edges)]
    return successes.astype(np.float64), np.array(seconds)
