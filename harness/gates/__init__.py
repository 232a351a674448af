"""Gates: what a scenario may demand of a service. One kind a file; a new one is a file and a line here.

Reading them imports no numpy and no scipy; how each one decides stands in `harness.gates.exceedance`.
"""

from __future__ import annotations

from typing import Final, Protocol

from harness.gates.calls import CallsGate
from harness.gates.detection.cleared import ClearedGate
from harness.gates.detection.named import DetectedGate
from harness.gates.gate import Finding, Gate
from harness.gates.latency import LatencyGate
from harness.gates.recovery import RecoveryGate
from harness.gates.resource_gate import ResourceGate
from harness.gates.share import ShareGate
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.gates.throughput import ThroughputGate


class GateKind(Protocol):
    """How `parse_gate` finds the kind of a gate, by its first word, and how others learn of it."""

    @property
    def EXAMPLES(self) -> tuple[str, ...]:
        """Gates of this kind as a scenario may write them, for editors."""

    @property
    def WORDS(self) -> tuple[str, ...]:
        """First words that a misspelled gate may have meant."""

    def reads(self, word: str) -> bool: ...

    def parse(self, words: Tokens) -> Gate: ...


GATES: Final[tuple[GateKind, ...]] = (
    LatencyGate,
    ShareGate,
    CallsGate,
    ThroughputGate,
    RecoveryGate,
    ResourceGate,
    DetectedGate,
    ClearedGate,
)

__all__ = [
    "GATES",
    "CallsGate",
    "ClearedGate",
    "DetectedGate",
    "Finding",
    "Gate",
    "GateKind",
    "GateSyntaxError",
    "LatencyGate",
    "RecoveryGate",
    "ResourceGate",
    "ShareGate",
    "ThroughputGate",
]
