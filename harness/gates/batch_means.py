"""Decides gates on a mean by batch means: a Student-t bound on each side, and a least number of independent moments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Pool
from harness.gates.gate import MEAN_MOMENTS, Finding, GateVerdict, Unit
from harness.gates.reference.limits import Limits
from harness.rundir.finding_kind import FindingKind
from harness.statistics import mean_bounds
from harness.units import format_duration, format_exact_duration


def judge_mean(
    pool: Pool,
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    *,
    n: int,
    seconds: float,
    limit: Limits,
    below: bool,
    unit: Unit,
    alpha_fail: float,
) -> Finding:
    """Decide the ratio of totals, sums ÷ sizes (one entry per batch), against `limit`, from `n` arrivals in `seconds`.

    It must be below the limit, or above it if `below` is False. A PASS has the error that the plan's confidence leaves,
    a FAIL the error `alpha_fail`; half of each if the limit is a measured figure. The bounds are Student's t on the
    batch means (`harness.statistics.mean_bounds`).
    """
    empty = "no request arrived in this phase"
    finding = Finding("inconclusive", empty, limit.shown, unit, "<" if below else ">", FindingKind.NO_ARRIVALS, n=n)
    if n == 0 or seconds <= 0 or sizes.sum() == 0:
        return finding
    settings = pool.plan.verdict
    observed = float(sums.sum() / sizes.sum())
    spent = 2 if limit.error_shared else 1
    low, high = mean_bounds(sums, sizes, round(1 - settings.confidence, 9) / spent)
    sure_low, sure_high = mean_bounds(sums, sizes, alpha_fail / spent)
    seen = f"{_figure(observed, unit)} ({_figure(max(low, 0.0), unit)} to {_figure(high, unit)})"
    shown = format_exact_duration(limit.shown) if unit == "ms" else f"{limit.shown:.6g}"
    comparison = f"{seen}, and it must be {'below' if below else 'above'} {shown}"
    moments = min(float(n), seconds * 1000 / settings.clump_ms) if settings.clump_ms else float(n)
    verdict: GateVerdict = "inconclusive"
    kind = FindingKind.TOO_CLOSE
    if moments < MEAN_MOMENTS:
        kind = FindingKind.TOO_FEW
        reason = f"the phase holds too few independent moments to be sure: {comparison}"
    elif (sure_low >= limit.failing) if below else (sure_high <= limit.failing):
        verdict, kind, reason = "fail", FindingKind.EXCEEDED, comparison
    elif (high < limit.passing) if below else (low > limit.passing):
        verdict, kind, reason = "pass", FindingKind.HELD, comparison
    else:
        reason = f"too close to the limit to be sure: {comparison}"
    return replace(
        finding, verdict=verdict, kind=kind, reason=reason, observed=observed, low=max(low, 0.0), high=high, seen=seen
    )


def _figure(value: float, unit: Unit) -> str:
    return format_duration(value) if unit == "ms" else f"{value:.4g}"
