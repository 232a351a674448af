"""Decides gates on a mean by batch means: a bound on each side, and a least number of independent moments."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Pool
from harness.gates.gate import MEAN_MOMENTS, Finding, GateVerdict, Unit
from harness.gates.reference.limits import Limits
from harness.rundir.finding_kind import FindingKind
from harness.statistics import mean_bounds
from harness.units import format_duration, format_exact_duration

_UNDECIDED: Final = {
    FindingKind.TOO_FEW: "the phase holds too few independent moments to be sure",
    FindingKind.TOO_CLOSE: "too close to the limit to be sure",
}


def moments_of(n: int, seconds: float, clump_s: float) -> float:
    """How many independent moments `n` arrivals in so many seconds are."""
    return min(float(n), seconds / clump_s) if clump_s else float(n)


def decide_mean(
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    *,
    moments: float,
    limit: Limits,
    below: bool,
    alphas: tuple[float, float],
) -> tuple[GateVerdict, FindingKind]:
    """The verdict on sums ÷ sizes, arrays of shape (batches,). `alphas`: the error of a PASS, and that of a FAIL."""
    if moments < MEAN_MOMENTS:
        return "inconclusive", FindingKind.TOO_FEW
    low, high = mean_bounds(sums, sizes, alphas[0], spells_add=below)
    sure_low, sure_high = mean_bounds(sums, sizes, alphas[1], spells_add=below)
    if (sure_low >= limit.failing) if below else (sure_high <= limit.failing):
        return "fail", FindingKind.EXCEEDED
    if (high < limit.passing) if below else (low > limit.passing):
        return "pass", FindingKind.HELD
    return "inconclusive", FindingKind.TOO_CLOSE


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
    a FAIL the error `alpha_fail`; half of each if the limit is a measured figure. The bounds are those of
    `harness.statistics.mean_bounds`: spells are taken to raise what must stay below its limit, and to lower what must
    stay above it.
    """
    empty = "no request arrived in this phase"
    finding = Finding("inconclusive", empty, limit.shown, unit, "<" if below else ">", FindingKind.NO_ARRIVALS, n=n)
    if n == 0 or seconds <= 0 or sizes.sum() == 0:
        return finding
    settings = pool.plan.verdict
    observed = float(sums.sum() / sizes.sum())
    spent = 2 if limit.error_shared else 1
    alpha = round(1 - settings.confidence, 9) / spent
    low, high = mean_bounds(sums, sizes, alpha, spells_add=below)
    seen = f"{_figure(observed, unit)} ({_figure(max(low, 0.0), unit)} to {_figure(high, unit)})"
    shown = format_exact_duration(limit.shown) if unit == "ms" else f"{limit.shown:.6g}"
    comparison = f"{seen}, and it must be {'below' if below else 'above'} {shown}"
    verdict, kind = decide_mean(
        sums,
        sizes,
        moments=moments_of(n, seconds, settings.clump_ms / 1000),
        limit=limit,
        below=below,
        alphas=(alpha, alpha_fail / spent),
    )
    reason = f"{_UNDECIDED[kind]}: {comparison}" if kind in _UNDECIDED else comparison
    return replace(
        finding, verdict=verdict, kind=kind, reason=reason, observed=observed, low=max(low, 0.0), high=high, seen=seen
    )


def _figure(value: float, unit: Unit) -> str:
    return format_duration(value) if unit == "ms" else f"{value:.4g}"
