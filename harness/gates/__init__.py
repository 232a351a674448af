"""Gates: what a scenario may demand of a service. One kind per file; a new kind is a file and a line in `GATES`.

Parsing a gate imports neither numpy nor scipy. `harness.gates.exceedance` decides gates on a share of the requests,
`batch_means` those on a mean; the others decide in their own modules.
"""

from __future__ import annotations

from typing import Final, Protocol

from harness.gates.answered.largest import LargestGate
from harness.gates.answered.mean import MeanGate
from harness.gates.calls import CallsGate
from harness.gates.detection.cleared import ClearedGate
from harness.gates.detection.named import DetectedGate
from harness.gates.gate import Finding, Gate
from harness.gates.latency import LatencyGate
from harness.gates.readings.metric import MetricGate
from harness.gates.readings.per_request import PerRequestGate
from harness.gates.readings.resource_gate import ResourceGate
from harness.gates.recovery import RecoveryGate
from harness.gates.shares.complete import CompleteGate
from harness.gates.shares.share import ShareGate
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.gates.throughput import ThroughputGate


class GateKind(Protocol):
    """The class of a kind of gate. `parse_gate` uses the first kind that `reads` the first word of a gate's text."""

    @property
    def EXAMPLES(self) -> tuple[str, ...]:
        """Gates of this kind as in a scenario, which editors propose from the JSON schema."""

    @property
    def WORDS(self) -> tuple[str, ...]:
        """First words of gates of this kind, to propose for a misspelled one."""

    def reads(self, word: str) -> bool: ...

    def parse(self, words: Tokens) -> Gate: ...


GATES: Final[tuple[GateKind, ...]] = (
    LatencyGate,
    MeanGate,
    LargestGate,
    ShareGate,
    CompleteGate,
    CallsGate,
    ThroughputGate,
    RecoveryGate,
    ResourceGate,
    PerRequestGate,
    MetricGate,
    DetectedGate,
    ClearedGate,
)

__all__ = [
    "GATES",
    "CallsGate",
    "ClearedGate",
    "CompleteGate",
    "DetectedGate",
    "Finding",
    "Gate",
    "GateKind",
    "GateSyntaxError",
    "LargestGate",
    "LatencyGate",
    "MeanGate",
    "MetricGate",
    "PerRequestGate",
    "RecoveryGate",
    "ResourceGate",
    "ShareGate",
    "ThroughputGate",
]
