"""Is HEAD slower than BASE? Compares the figures of the same phases of two runs, as ratios with bounds.

Each figure has bounds at half the allowed error, those that a gate on it would use (`comparison_figures`). The bounds
of the ratio follow from them, so nothing is resampled. A row is WORSE only if even the lower bound of the ratio is
above the allowed one, and FINE only if the upper bound is at most that. The error of a WORSE is divided by the number
of rows, because each of them can fail a build. FINE needs p50, p90 and p99 of all requests; a mean, first bytes and
single requests can show that HEAD is worse, and leave the verdict alone where they are undecided. Runs whose plans
differ are refused unless the user allows them; a run that is a rig failure is always refused. If the machine was faster
for one of the runs, every row is unknown: the figures are shown and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from harness import __version__
from harness.errors import RigError, UsageError
from harness.evidence import Evidence
from harness.gates.reference.machine import machine_difference
from harness.model.frozen import Frozen
from harness.rundir.results import Machine, Tool
from harness.verdict.comparison_figures import Figure, cpu_ms, figures_of
from harness.verdict.faults.proof import prove_faults
from harness.verdict.likeness import Difference, plan_differences
from harness.verdict.validity import rig_findings

DIFFERENCES_NAMED: Final = 4
"""The message that refuses unlike runs lists this many differences."""
_SKIPPED: Final = ("warmup", "guard", "tail", "whole")
Word = Literal["worse", "fine", "unknown", "too_short", "shown"]
"""`too_short`: the phase is too short to bound this figure, however fast its requests were; `shown`: no error is known
for it. Neither row decides anything."""


EXIT: Final = {"worse": 1, "unknown": 3, "fine": 0}
_BY_WEIGHT: Final[tuple[Word, ...]] = ("worse", "unknown", "fine")


class ComparisonRow(Frozen):
    """One figure of one phase in both runs, in ms; `cpu` is for each request. null: infinite or unknown.

    The ratio is head ÷ base, and `low` and `high` are its bounds."""

    phase: str
    metric: str
    request: str | None = None
    """The request that it is of; null: all."""
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
    which = [(phase, figure) for phase in phases for figure in figures_of(base, head, phase)]
    judged = [(figure, _Pair(base, head, phase, figure, len(which)).judge(max_ratio)) for phase, figure in which]
    reason = machine_difference(base.machine, head.machine)
    if reason:
        judged = [(figure, row.model_copy(update={"verdict": "unknown"})) for figure, row in judged]
    verdicts = {row.verdict for figure, row in judged if figure.is_needed or row.verdict == "worse"}
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
        rows=(*(row for _, row in judged), *_cpu_rows(base, head, phases)),
    )


def _list_differences(differences: Sequence[Difference]) -> str:
    more = len(differences) - DIFFERENCES_NAMED
    named = ", ".join(difference.text for difference in differences[:DIFFERENCES_NAMED])
    return f"{named} and {more} more" if more > 0 else named


@dataclass(frozen=True, slots=True)
class _Pair:
    """One figure of one phase in both runs. `share`: the number of rows, by which the error of a WORSE is divided."""

    base: Evidence
    head: Evidence
    phase: str
    figure: Figure
    share: int

    def judge(self, max_ratio: float) -> ComparisonRow:
        # WORSE is decided by the base's upper and the head's lower bound, so these two have the error that is divided
        alpha = round(1 - self.base.plan.verdict.confidence, 9) / 2
        shared = alpha / self.share
        base = self.figure.bounds(self.base, self.phase, lower=alpha, upper=shared)
        head = self.figure.bounds(self.head, self.phase, lower=shared, upper=alpha)
        low = _ratio(head.low_ms, base.high_ms)
        high = _ratio(head.high_ms, base.low_ms)
        verdict: Word = "unknown"
        if not (
            self.figure.long_enough(self.base, self.phase, upper=shared)
            and self.figure.long_enough(self.head, self.phase, upper=alpha)
        ):
            verdict = "too_short"
        elif (low is not None and low > max_ratio) or (
            base.high_ms is not None and self.figure.surely_infinite(self.head, self.phase, lower=shared)
        ):
            verdict = "worse"
        elif high is not None and high <= max_ratio:
            verdict = "fine"
        return ComparisonRow(
            phase=self.phase,
            metric=self.figure.metric,
            request=self.figure.request,
            base_ms=base.observed_ms,
            head_ms=head.observed_ms,
            ratio=_ratio(head.observed_ms, base.observed_ms),
            low=low,
            high=high,
            verdict=verdict,
        )


def _cpu_rows(base: Evidence, head: Evidence, phases: Sequence[str]) -> Iterable[ComparisonRow]:
    """Processor time of the service for each request, where both runs know it. No statistics are known for it, so it
    decides nothing."""
    for phase in phases:
        base_ms, head_ms = (cpu_ms(run, phase) for run in (base, head))
        if base_ms is not None and head_ms is not None:
            ratio = _ratio(head_ms, base_ms)
            yield ComparisonRow(
                phase=phase, metric="cpu", base_ms=base_ms, head_ms=head_ms, ratio=ratio, low=None, high=None,
                verdict="shown",
            )  # fmt: skip


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else over / under
