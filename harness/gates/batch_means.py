"""Gates on a mean over batches: a Student bound on each side, and enough independent moments to believe it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Pool
from harness.gates.gate import MEAN_MOMENTS, Finding, GateVerdict, Unit
from harness.rundir.finding_kind import FindingKind
from harness.statistics import mean_bounds


def judge_mean(
    pool: Pool,
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    *,
    n: int,
    seconds: float,
    limit: float,
    below: bool,
    unit: Unit,
    alpha_fail: float,
) -> Finding:
    """The ratio of totals, sums ÷ sizes (one entry a batch), against `limit`. `n` arrivals in `seconds`."""
    empty = "no request arrived in this phase"
    found = Finding("inconclusive", empty, limit, unit, "<" if below else ">", FindingKind.NO_ARRIVALS, n=n)
    if n == 0 or seconds <= 0 or sizes.sum() == 0:
        return found
    asked = pool.plan.verdict
    observed = float(sums.sum() / sizes.sum())
    low, high = mean_bounds(sums, sizes, round(1 - asked.confidence, 9))
    sure_low, sure_high = mean_bounds(sums, sizes, alpha_fail)
    seen = f"{observed:.4g} ({low:.4g} to {high:.4g})"
    said = f"{seen}, and it must be {'below' if below else 'above'} {limit:g}"
    moments = min(float(n), seconds * 1000 / asked.clump_ms) if asked.clump_ms else float(n)
    verdict: GateVerdict = "inconclusive"
    kind = FindingKind.TOO_CLOSE
    if moments < MEAN_MOMENTS:
        kind = FindingKind.TOO_FEW
        reason = f"the phase holds too few independent moments to be sure: {said}"
    elif (sure_low >= limit) if below else (sure_high <= limit):
        verdict, kind, reason = "fail", FindingKind.EXCEEDED, said
    elif (high < limit) if below else (low > limit):
        verdict, kind, reason = "pass", FindingKind.HELD, said
    else:
        reason = f"too close to the limit to be sure: {said}"
    return replace(
        found, verdict=verdict, kind=kind, reason=reason, observed=observed, low=max(low, 0.0), high=high, seen=seen
    )
