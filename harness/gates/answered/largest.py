"""`max < 5s`: no request that ended ok may take that long.

The largest latency is a fact about this run and no estimate: the first that reaches the limit is a FAIL, and a PASS
says nothing about the next run. So no error is allowed for and no moments are needed. Requests that failed have no
latency; the reason says how many there were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from harness.gates.answered.answered_gate import AnsweredGate
from harness.gates.gate import Finding

if TYPE_CHECKING:
    from harness.evidence import Pool
    from harness.gates.reference.baseline_file import Quantile


@dataclass(frozen=True, slots=True)
class LargestGate(AnsweredGate):
    EXAMPLES: ClassVar[tuple[str, ...]] = ("max < 5s during baseline", "max < gateway.timeout")
    FIGURE: ClassVar[str] = "max"
    EXAMPLE_LIMIT: ClassVar[str] = "5s"

    @property
    def unfit_for_one_rate(self) -> str:
        return "the largest of more requests is larger, so it depends on the length of a load"

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.answered.mean_judge import judge_largest

        return judge_largest(self, pool)

    def cannot_pass(self, pool: Pool, *, alpha_fail: float) -> Finding | None:
        if self.upstream or self.latency_limit_ms(pool.plan.gateway.timeout_ms) is None:
            return None
        finding = self.judge(pool, alpha_fail=alpha_fail)
        return finding if finding.verdict == "fail" else None

    def own_figure(self, pool: Pool) -> Quantile | None:
        from harness.gates.answered.mean_judge import own_largest

        return own_largest(self, pool)
