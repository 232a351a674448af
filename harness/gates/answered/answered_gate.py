"""What `mean` and `max` share: gates on a latency in ms of what ended ok, read from the word that names the figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

from harness.gates.context import GateDiagnostic, ScenarioNames
from harness.gates.gate import Finding, GateDefaults
from harness.gates.latency_limit import LimitedLatency, parse_limit, timeout_diagnostics, upstream_of
from harness.gates.syntax.tokenizer import Tokens


@dataclass(frozen=True, slots=True)
class AnsweredGate(LimitedLatency):
    """`FIGURE`: the word that begins the gate. `EXAMPLE_LIMIT`: of messages."""

    FIGURE: ClassVar[str]
    EXAMPLE_LIMIT: ClassVar[str]

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        words.take()
        upstream = upstream_of(words, cls.FIGURE, cls.EXAMPLE_LIMIT)
        request = words.request()
        words.comparison("<", f"{cls.FIGURE} < {cls.EXAMPLE_LIMIT}")
        return cls(words.text, upstream, request, parse_limit(words), words.phase())

    @property
    def metric(self) -> str:
        return f"{self.FIGURE} of {self.upstream}" if self.upstream else self.FIGURE

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        return timeout_diagnostics(self.limit, names, f"{self.FIGURE} < {self.EXAMPLE_LIMIT}")

    def headline(self, finding: Finding) -> str:
        if finding.observed is None or finding.limit is None:
            return GateDefaults.headline(self, finding)
        return f"{self.figure} was {self.format(finding.observed)}, not below {self.format(finding.limit)}"
