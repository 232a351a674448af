"""Is HEAD slower than BASE? Compares the quantiles of the same phases of two runs, as ratios with bounds.

Each quantile has order-statistic bounds at half the allowed error, at the design effect (`deflation`) that a gate would
use. The bounds of the ratio follow from them, so nothing is resampled. A row is WORSE only if even the lower bound of
the ratio is above the allowed one, and FINE only if the upper bound is at most that. The error of a WORSE is divided by
the number of rows, because each of them can fail a build. Runs whose plans differ are refused unless the user allows
them; a run that is a rig failure is always refused. If the machine was faster for one of the runs, every row is
unknown: the figures are shown and decide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from harness import __version__
from harness.errors import RigError, UsageError
from harness.evidence import Evidence
from harness.gates.gate import moments_for_share
from harness.gates.quantiles import Bounds, quantile_bounds
from harness.gates.reference.machine import machine_difference
from harness.model.frozen import Frozen
from harness.rundir.results import Machine, Tool
from harness.statistics import Counts, Rule, decide
from harness.verdict.faults.proof import prove_faults
from harness.verdict.likeness import Difference, plan_differences
from harness.verdict.validity import rig_findings

QUANTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
DIFFERENCES_NAMED: Final = 4
"""The message that refuses unlike runs lists this many differences."""
_SKIPPED: Final = ("warmup", "guard", "tail", "whole")
Word = Literal["worse", "fine", "unknown", "too_short"]
"""`too_short`: the phase is too short to bound this quantile, however fast its requests were. The row decides nothing.
"""


EXIT: Final = {"worse": 1, "unknown": 3, "fine": 0}
_BY_WEIGHT: Final[tuple[Word, ...]] = ("worse", "unknown", "fine")


class ComparisonRow(Frozen):
    """One quantile of one phase in both runs, in ms. null: infinite or unknown. The ratio is head ÷ base, and `low` and
    `high` are its bounds."""

    phase: str
    metric: str
    base_ms: float | None
    head_ms: float | None
    ratio: float | None
    low: float | None
    high: float | None
    verdict: Word


class Comparison(Frozen):
    """The document that `tailgate compare --json` prints."""

    schema_version: Literal[1] = 1
    kind: Literal["comparison"] = "comparison"
    tool: Tool
    verdict: Word
    exit_code: int
    base: str
    head: str
    max_ratio: float
    reason: str = ""
    """Why the rows decide nothing; empty if they do decide."""
    differences: tuple[Difference, ...] = ()
    """The settings in which the runs differ besides the service; empty unless unlike runs were allowed."""
    base_machine: Machine
    head_machine: Machine
    rows: tuple[ComparisonRow, ...]


def compare(base: Evidence, head: Evidence, max_ratio: float, *, allow_unlike: bool = False) -> Comparison:
    """Compare every phase that both runs have; a row is worse if its ratio is above `max_ratio`.

    Raises UsageError if the plans differ in more than the service and `allow_unlike` is not set, or if the runs have no
    phase in common; RigError if one of them is a rig failure.
    """
    differences = plan_differences(base.plan, head.plan)
    if differences and not allow_unlike:
        raise UsageError(
            f"the two runs differ in more than the service: {_list_differences(differences)}",
            "compare runs of the same scenario with the same settings, or pass --allow-unlike",
        )
    phases = [p.name for p in base.phases if p.intervals and p.name not in _SKIPPED and head.phase(p.name).intervals]
    if not phases:
        raise UsageError("the two runs have no phase in common", "compare runs of the same scenario")
    for run in (base, head):
        if broken := [finding for finding in rig_findings(run, prove_faults(run)) if not finding.ok]:
            raise RigError(f"{run.run_dir} is a rig failure: {broken[0].detail}", broken[0].fix)
    which = [(phase, metric, quantile) for phase in phases for metric, quantile in QUANTILES]
    rows = [_Pair(base, head, *one, share=len(which)).judge(max_ratio) for one in which]
    reason = machine_difference(base.machine, head.machine)
    if reason:
        rows = [row.model_copy(update={"verdict": "unknown"}) for row in rows]
    verdicts = {row.verdict for row in rows}
    # rows that are all too short decide nothing
    verdict: Word = next((word for word in _BY_WEIGHT if word in verdicts), "unknown")
    return Comparison(
        tool=Tool(version=__version__),
        verdict=verdict,
        exit_code=EXIT[verdict],
        base=base.plan.run_id,
        head=head.plan.run_id,
        max_ratio=max_ratio,
        reason=reason,
        differences=differences,
        base_machine=base.machine,
        head_machine=head.machine,
        rows=tuple(rows),
    )


def _list_differences(differences: Sequence[Difference]) -> str:
    more = len(differences) - DIFFERENCES_NAMED
    named = ", ".join(difference.text for difference in differences[:DIFFERENCES_NAMED])
    return f"{named} and {more} more" if more > 0 else named


@dataclass(frozen=True, slots=True)
class _Pair:
    """One quantile of one phase in both runs. `share`: the number of rows, by which the error of a WORSE is divided."""

    base: Evidence
    head: Evidence
    phase: str
    metric: str
    quantile: float
    share: int

    def judge(self, max_ratio: float) -> ComparisonRow:
        (base, base_rule), (head, head_rule) = self._bounds(self.base), self._bounds(self.head)
        low = _ratio(head.low_ms, base.high_ms)
        high = _ratio(head.high_ms, base.low_ms)
        verdict: Word = "unknown"
        if not (_long_enough(self.base, self.phase, base_rule) and _long_enough(self.head, self.phase, head_rule)):
            verdict = "too_short"
        elif (low is not None and low > max_ratio) or (base.high_ms is not None and self._surely_infinite(head_rule)):
            verdict = "worse"
        elif high is not None and high <= max_ratio:
            verdict = "fine"
        return ComparisonRow(
            phase=self.phase,
            metric=self.metric,
            base_ms=base.observed_ms,
            head_ms=head.observed_ms,
            ratio=_ratio(head.observed_ms, base.observed_ms),
            low=low,
            high=high,
            verdict=verdict,
        )

    def _bounds(self, run: Evidence) -> tuple[Bounds, Rule]:
        """A run's bounds. WORSE is decided by the base's upper and the head's lower bound, so these two have the error
        that is divided by the number of rows."""
        alpha = round(1 - run.plan.verdict.confidence, 9) / 2
        shared = alpha / self.share
        upper, lower = (shared, alpha) if run is self.base else (alpha, shared)
        rule = Rule(round(1 - self.quantile, 9), run.clump_s, upper, lower)
        window = run.window(self.phase)
        return quantile_bounds([window.latency_ns], window.seconds, rule), rule

    def _surely_infinite(self, rule: Rule) -> bool:
        """Whether so many requests of the head failed that its quantile surely has no finite value."""
        window = self.head.window(self.phase)
        return decide(Counts.of(~window.ok), window.seconds, rule).verdict == "fail"


def _long_enough(run: Evidence, phase: str, rule: Rule) -> bool:
    """Whether the phase holds enough independent moments for this quantile to have an upper bound at all."""
    window = run.window(phase)
    moments = min(len(window.samples), window.seconds / run.clump_s) if run.clump_s else len(window.samples)
    return moments >= moments_for_share(rule.p0, 1 - rule.alpha)


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else over / under
