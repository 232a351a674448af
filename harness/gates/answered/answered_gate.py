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
    """`WORDS` has one word, the figure. `EXAMPLE_LIMIT`: of messages."""

    EXAMPLE_LIMIT: ClassVar[str]

    @classmethod
    def reads(cls, word: str) -> bool:
        return word in cls.WORDS

    @classmethod
    def parse(cls, words: Tokens) -> Self:
        (figure,) = cls.WORDS
        words.take()
        upstream = upstream_of(words, figure, cls.EXAMPLE_LIMIT)
        request = words.request()
        words.comparison("<", f"{figure} < {cls.EXAMPLE_LIMIT}")
        return cls(words.text, upstream, request, parse_limit(words), words.phase())

    @property
    def metric(self) -> str:
        (figure,) = self.WORDS
        return f"{figure} of {self.upstream}" if self.upstream else figure

    def name_diagnostics(self, names: ScenarioNames) -> Iterable[GateDiagnostic]:
        (figure,) = self.WORDS
        return timeout_diagnostics(self.limit, names, f"{figure} < {self.EXAMPLE_LIMIT}")

    def headline(self, finding: Finding) -> str:
        if finding.observed is None or finding.limit is None:
            return GateDefaults.headline(self, finding)
        return f"{self.figure} was {self.format(finding.observed)}, not below {self.format(finding.limit)}"
