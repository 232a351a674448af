"""baseline.json: the quantiles of this run, with which a later run of the scenario compares itself by `--baseline`."""

from __future__ import annotations

from collections.abc import Sequence

from harness.evidence import Pool
from harness.gates import Gate
from harness.gates.reference.baseline_file import BaselineFile


def own_baseline(pool: Pool, gates: Sequence[Gate]) -> BaselineFile:
    """The quantile of every gate in `gates` that has one, each metric, request and phase once."""
    plan = pool.plan
    quantiles = [quantile for gate in gates if (quantile := gate.own_quantile(pool))]
    return BaselineFile(
        scenario=plan.name,
        run=plan.run_id,
        clump_ms=plan.verdict.clump_ms,
        confidence=plan.verdict.confidence,
        quantiles=tuple({(one.metric, one.request, one.phase): one for one in quantiles}.values()),
    )
