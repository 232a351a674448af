"""`mean < 300ms`: the mean latency of the requests that ended ok, bounded by batch means.

A mean hides a few very slow requests and cannot hold a failed one, whose latency is infinite. So the share left out is
printed, and above 1 % the gate says nothing. Of an upstream (`mean of azure`) it is the mean of its calls.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import MEAN_MOMENTS, Finding, Gate, GateDefaults
from harness.gates.latency_limit import Limit, parse_limit, timeout_diagnostics
from harness.gates.syntax.tokenizer import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Pool
    from harness.gates.reference.baseline_file import Quantile

LEFT_OUT_MOST: Final = 0.01
"""If a larger share of the requests failed, the mean of the others says nothing about the service."""


@dataclass(frozen=True, slots=True)
class MeanGate(GateDefaults):
    EXAMPLES: ClassVar[tuple[str, ...]] = ("mean < 300ms during baseline", "mean < 1.2x main")

    text: str
    upstream: str | None
    request: str | None
    limit: Limit
    phase: str

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        upstream = words.name("an upstream's name", "mean of UPSTREAM < 300ms") if words.accept("of") else None
        request = words.request()
        words.comparison("<", "mean < 300ms")
        return cls(words.text, upstream, request, parse_limit(words), words.phase())

    @property
    def metric(self) -> str:
        return f"mean of {self.upstream}" if self.upstream else "mean"

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

    def moments(self, confidence: float) -> int:
        return MEAN_MOMENTS

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None:
        return self.limit.in_ms(gateway_timeout_ms)

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        return timeout_diagnostics(self.limit, names, "mean < 300ms")

    def judge(self, pool: Pool, *, alpha_fail: float) -> Finding:
        from harness.gates.answered.mean_judge import judge

        return judge(self, pool, alpha_fail)

    def in_baseline(self) -> Gate | None:
        return None if self.limit.factor is not None else dataclasses.replace(self, phase="baseline")

    def own_figure(self, pool: Pool) -> Quantile | None:
        from harness.gates.answered.mean_judge import own_mean

        return own_mean(self, pool)

    def headline(self, finding: Finding) -> str:
        if finding.observed is None or finding.limit is None:
            return GateDefaults.headline(self, finding)
        what = self.text.partition("<")[0].strip()
        return f"{what} was {self.format(finding.observed)}, not below {self.format(finding.limit)}"
