"""`mean < 300ms`: the mean latency of the requests that ended ok, bounded by batch means.

A mean hides a few very slow requests and cannot hold a failed one, whose latency is infinite. So the share left out is
printed, and above 1 % the gate says nothing. Of an upstream (`mean of azure`) it is the mean of its calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from harness.gates.answered.answered_gate import AnsweredGate
from harness.gates.gate import MEAN_MOMENTS, Finding

if TYPE_CHECKING:
    from harness.evidence import Pool
    from harness.gates.reference.baseline_file import Quantile

LEFT_OUT_MOST: Final = 0.01
"""If a larger share of the requests failed, the mean of the others says nothing about the service."""


@dataclass(frozen=True, slots=True)
class MeanGate(AnsweredGate):
    EXAMPLES: ClassVar[tuple[str, ...]] = ("mean < 300ms during baseline", "mean < 1.2x main")
    FIGURE: ClassVar[str] = "mean"
    EXAMPLE_LIMIT: ClassVar[str] = "300ms"

    def moments(self, confidence: float) -> int:
        return MEAN_MOMENTS

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.answered.mean_judge import judge

        return judge(self, pool, alpha_fail)

    def own_figure(self, pool: Pool) -> Quantile | None:
        from harness.gates.answered.mean_judge import own_mean

        return own_mean(self, pool)
