"""baseline.json: what a later run of the same scenario may compare itself with, by `--baseline`."""

from __future__ import annotations

from harness.evidence import Pool
from harness.gates import LatencyGate
from harness.gates.latency_judge import bounds_of
from harness.gates.parse import parse_gate
from harness.gates.quantiles import Bounds
from harness.gates.reference_baseline import BaselineFile, Quantile


def own_baseline(pool: Pool) -> BaselineFile:
    """What a later run of this scenario may compare itself with: the quantile of each latency gate."""
    plan = pool.plan
    gates = [gate for one in plan.gates if isinstance(gate := parse_gate(one.text), LatencyGate)]
    wanted = {(gate.metric, gate.request, gate.phase): gate for gate in gates}
    found = [(key, bounds_of(gate, pool)) for key, gate in wanted.items()]
    return BaselineFile(
        scenario=plan.name,
        run=plan.run_id,
        clump_ms=plan.verdict.clump_ms,
        confidence=plan.verdict.confidence,
        quantiles=tuple(
            Quantile(
                metric=metric,
                request=request,
                phase=phase,
                n=bounds.n,
                observed_ms=bounds.observed_ms,
                low_ms=bounds.low_ms,
                high_ms=bounds.high_ms,
            )
            for (metric, request, phase), bounds in found
            if isinstance(bounds, Bounds)
        ),
    )
