"""Decides gates on a mean by batch means: a Student-t bound on each side, and a least number of independent moments."""

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
    """Decide the ratio of totals, sums ÷ sizes (one entry per batch), against `limit`, from `n` arrivals in `seconds`.

    It must be below the limit, or above it if `below` is False. A PASS has the error that the plan's confidence leaves,
    a FAIL the error `alpha_fail`. The bounds are Student's t on the batch means (`harness.statistics.mean_bounds`).
    """
    empty = "no request arrived in this phase"
    finding = Finding("inconclusive", empty, limit, unit, "<" if below else ">", FindingKind.NO_ARRIVALS, n=n)
    if n == 0 or seconds <= 0 or sizes.sum() == 0:
        return finding
    settings = pool.plan.verdict
    observed = float(sums.sum() / sizes.sum())
    low, high = mean_bounds(sums, sizes, round(1 - settings.confidence, 9))
    sure_low, sure_high = mean_bounds(sums, sizes, alpha_fail)
    seen = f"{observed:.4g} ({low:.4g} to {high:.4g})"
    comparison = f"{seen}, and it must be {'below' if below else 'above'} {limit:g}"
    moments = min(float(n), seconds * 1000 / settings.clump_ms) if settings.clump_ms else float(n)
    verdict: GateVerdict = "inconclusive"
    kind = FindingKind.TOO_CLOSE
    if moments < MEAN_MOMENTS:
        kind = FindingKind.TOO_FEW
        reason = f"the phase holds too few independent moments to be sure: {comparison}"
    elif (sure_low >= limit) if below else (sure_high <= limit):
        verdict, kind, reason = "fail", FindingKind.EXCEEDED, comparison
    elif (high < limit) if below else (low > limit):
        verdict, kind, reason = "pass", FindingKind.HELD, comparison
    else:
        reason = f"too close to the limit to be sure: {comparison}"
    return replace(
        finding, verdict=verdict, kind=kind, reason=reason, observed=observed, low=max(low, 0.0), high=high, seen=seen
    )
