"""Gates: what a scenario may demand of a service. One kind per file; a new kind is a file and a line in `GATES`.

Parsing a gate imports neither numpy nor scipy. `harness.gates.exceedance` decides gates on a share of the requests,
`batch_means` those on a mean; the others decide in their own modules.
"""

from __future__ import annotations

from typing import Final, Protocol

from harness.gates.gate import Finding, Gate
from harness.gates.syntax.tokenizer import GateSyntaxError, Tokens
from harness.model.registry import Registry

__all__ = ["GATES", "Finding", "Gate", "GateKind", "GateSyntaxError"]


class GateKind(Protocol):
    """The class of a kind of gate."""

    @property
    def EXAMPLES(self) -> tuple[str, ...]:
        """Gates of this kind as in a scenario, which editors propose from the JSON schema."""

    def parse(self, words: Tokens) -> Gate: ...


GATES: Final[Registry[GateKind]] = Registry(
    {
        "p99": "harness.gates.latency:LatencyGate",
        "mean": "harness.gates.answered.mean:MeanGate",
        "max": "harness.gates.answered.largest:LargestGate",
        "errors": "harness.gates.shares.share:ShareGate",
        "timeouts": "harness.gates.shares.share:ShareGate",
        "http_error": "harness.gates.shares.share:ShareGate",
        "gateway_timeout": "harness.gates.shares.share:ShareGate",
        "client_timeout": "harness.gates.shares.share:ShareGate",
        "connection_error": "harness.gates.shares.share:ShareGate",
        "bad_answer": "harness.gates.shares.share:ShareGate",
        "dropped": "harness.gates.shares.share:ShareGate",
        "unfinished": "harness.gates.shares.share:ShareGate",
        "complete": "harness.gates.shares.complete:CompleteGate",
        "calls": "harness.gates.calls:CallsGate",
        "throughput": "harness.gates.throughput:ThroughputGate",
        "recovery": "harness.gates.recovery:RecoveryGate",
        "rss": "harness.gates.readings.resource_gate:ResourceGate",
        "threads": "harness.gates.readings.resource_gate:ResourceGate",
        "sockets": "harness.gates.readings.resource_gate:ResourceGate",
        "cpu": "harness.gates.readings.per_request:PerRequestGate",
        "log": "harness.gates.readings.per_request:PerRequestGate",
        "metric": "harness.gates.readings.metric:MetricGate",
        "named": "harness.gates.detection.named:DetectedGate",
        "cleared": "harness.gates.detection.cleared:ClearedGate",
    }
)
"""By the first word of a gate's text. Every percentile is of the kind of `p99`."""
