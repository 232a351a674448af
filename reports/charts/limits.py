"""The limit that a chart over the loads of a search draws across: that of a gate on what the chart shows."""

from __future__ import annotations

from collections.abc import Iterable

from harness.gates.latency import LatencyGate
from harness.gates.parse import parse_gate
from harness.gates.recovery import RecoveryGate
from harness.rundir.searches.capacity import StepGate

P99 = 0.99


def p99_limit_ms(gates: Iterable[StepGate]) -> float | None:
    """The limit of the first gate on the p99 of all requests, from their sending to their end; None without one."""
    return next((gate.limit for gate in gates if gate.unit == "ms" and _is_on_p99(gate.text)), None)


def common_limit_ms(limits: Iterable[float | None]) -> float | None:
    """The limit of every curve of a chart, given that of each; None if they differ, or if one of them has none: a line
    across would be false for it."""
    known = set(limits)
    return known.pop() if len(known) == 1 else None


def recovery_limit_ms(gates: Iterable[StepGate]) -> float | None:
    """The limit of the first recovery gate; None without one."""
    return next((gate.limit for gate in gates if isinstance(parse_gate(gate.text), RecoveryGate)), None)


def _is_on_p99(text: str) -> bool:
    gate = parse_gate(text)
    if not isinstance(gate, LatencyGate) or gate.quantile != P99:
        return False
    return not (gate.upstream or gate.request or gate.ok_only or gate.first_byte)
