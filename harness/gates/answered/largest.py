"""`max < 5s`: no request that ended ok may take that long.

The largest latency is a fact about this run and no estimate: the first that reaches the limit is a FAIL, and a PASS
says nothing about the next run. So no error is allowed for and no moments are needed. Requests that failed have no
latency; the reason says how many there were.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import Finding, Gate, GateDefaults
from harness.gates.latency_limit import Limit, parse_limit, timeout_diagnostics
from harness.gates.syntax.tokenizer import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Pool
    from harness.gates.reference.baseline_file import Quantile


@dataclass(frozen=True, slots=True)
class LargestGate(GateDefaults):
    EXAMPLES: ClassVar[tuple[str, ...]] = ("max < 5s during baseline", "max < gateway.timeout")

    text: str
    upstream: str | None
    request: str | None
    limit: Limit
    phase: str

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        upstream = words.name("an upstream's name", "max of UPSTREAM < 5s") if words.accept("of") else None
        request = words.request()
        words.comparison("<", "max < 5s")
        return cls(words.text, upstream, request, parse_limit(words), words.phase())

    @property
    def metric(self) -> str:
        return f"max of {self.upstream}" if self.upstream else "max"

    @property
    def uses_gateway_timeout(self) -> bool:
        return self.limit.is_gateway_timeout

    @property
    def uses_main(self) -> bool:
        return self.limit.of == "main"

    def phases(self) -> tuple[str, ...]:
        return (self.phase, "baseline") if self.limit.of == "baseline" else (self.phase,)

    def upstreams(self) -> tuple[str, ...]:
        return (self.upstream,) if self.upstream else ()

    def requests(self) -> tuple[str, ...]:
        return (self.request,) if self.request else ()

    @property
    def counts_calls(self) -> bool:
        return self.upstream is not None

    @property
    def unfit_for_one_rate(self) -> str:
        return "the largest of more requests is larger, so it depends on the length of a load"

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None:
        return self.limit.in_ms(gateway_timeout_ms)

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        return timeout_diagnostics(self.limit, names, "max < 5s")

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.answered.mean_judge import judge_largest

        return judge_largest(self, pool)

    def cannot_pass(self, pool: Pool, *, alpha_fail: float) -> Finding | None:
        if self.upstream or self.latency_limit_ms(pool.plan.gateway.timeout_ms) is None:
            return None
        finding = self.judge(pool, alpha_fail=alpha_fail)
        return finding if finding.verdict == "fail" else None

    def in_baseline(self) -> Gate | None:
        return None if self.limit.factor is not None else dataclasses.replace(self, phase="baseline")

    def own_figure(self, pool: Pool) -> Quantile | None:
        from harness.gates.answered.mean_judge import own_largest

        return own_largest(self, pool)

    def headline(self, finding: Finding) -> str:
        if finding.observed is None or finding.limit is None:
            return GateDefaults.headline(self, finding)
        what = self.text.partition("<")[0].strip()
        return f"{what} was {self.format(finding.observed)}, not below {self.format(finding.limit)}"
