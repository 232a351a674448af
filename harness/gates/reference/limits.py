"""What a gate on a latency is compared with: its limit in ms, or a multiple of a measured figure with its bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.evidence import Pool
from harness.gates.exceedance import InconclusiveReason
from harness.gates.latency_limit import Limit
from harness.gates.quantiles import Bounds
from harness.gates.reference.main import main_quantile
from harness.rundir.finding_kind import FindingKind


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits for a PASS and for a FAIL, which differ if the limit is a multiple of a measured figure, and the limit
    that is shown; in the gate's unit."""

    passing: float
    failing: float
    shown: float
    error_shared: bool = False
    """Whether half of the allowed error is spent on the figure that the gate compares with."""

    @classmethod
    def exactly(cls, limit: float) -> Limits:
        return cls(limit, limit, limit)


class LatencyMetric(Protocol):
    """A gate on a latency, as far as its limit needs it."""

    @property
    def metric(self) -> str: ...

    @property
    def request(self) -> str | None: ...

    @property
    def phase(self) -> str: ...

    @property
    def limit(self) -> Limit: ...

    def latency_limit_ms(self, gateway_timeout_ms: float | None) -> float | None: ...


def limits_of(
    gate: LatencyMetric, pool: Pool, in_baseline: Callable[[], Bounds | InconclusiveReason]
) -> Limits | InconclusiveReason:
    """The gate's limits in ms. `in_baseline`: its own figure in the baseline of the same runs."""
    limit_ms = gate.latency_limit_ms(pool.plan.gateway.timeout_ms)
    if limit_ms is not None:
        return Limits.exactly(limit_ms)
    factor = gate.limit.factor
    if factor is None:
        return InconclusiveReason(FindingKind.NO_GATEWAY, "there is no gateway, so `gateway.timeout` is not known")
    reference = in_baseline() if gate.limit.of == "baseline" else _in_main(gate, pool)
    if isinstance(reference, InconclusiveReason):
        return reference
    if reference.low_ms is None or reference.high_ms is None or reference.observed_ms is None:
        reason = f"the {gate.limit.of}'s own {gate.metric} is too uncertain to compare with"
        return InconclusiveReason(FindingKind.REFERENCE_UNSURE, reason)
    return Limits(
        factor * reference.low_ms, factor * reference.high_ms, factor * reference.observed_ms, error_shared=True
    )


def _in_main(gate: LatencyMetric, pool: Pool) -> Bounds | InconclusiveReason:
    found = main_quantile(pool.runs[0], metric=gate.metric, request=gate.request, phase=gate.phase)
    if isinstance(found, InconclusiveReason):
        return found
    return Bounds(found.n, found.observed_ms, found.low_ms, found.high_ms)
