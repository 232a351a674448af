"""The share of failed requests with which a later run compares itself, and its bounds.

The bounds are those of Clopper and Pearson at the design effect, as for a verdict (`harness.statistics`).
"""

from __future__ import annotations

from dataclasses import replace

from scipy.special import betaincinv

from harness.evidence import Pool
from harness.gates.exceedance import Population
from harness.gates.reference.baseline_file import FailedShare
from harness.gates.shares.outcomes import counted
from harness.statistics import Counts, Decision, Rule, deflation, pass_deflation


def own_share(pool: Pool, metric: str, request: str | None, phase: str) -> FailedShare | None:
    """How many requests of the phase count as `metric`; None if none arrived, or if the phase was cut short."""
    windows = Population(phase, request, every_part=True).windows(pool)
    seconds = sum(window.seconds for window in windows)
    bad = counted(metric)
    counts = Counts.of(*(bad(run, window) for run, window in zip(pool.runs, windows, strict=True)))
    if not counts.n or seconds <= 0 or any(window.cut for window in windows):
        return None
    return FailedShare(
        metric=metric,
        request=request,
        phase=phase,
        n=counts.n,
        exceeded=counts.k,
        deflation=deflation(counts, seconds=seconds, clump_s=pool.plan.verdict.clump_ms / 1000),
        seconds=seconds,
    )


def margin_rules(main: FailedShare, margin: float, alphas: tuple[float, float], clump_s: float) -> tuple[Rule, Rule]:
    """The tests of `share < main + margin` for a FAIL and for a PASS. `alphas`: the error of a PASS, and that of a
    FAIL, of which main's bounds take half."""
    alpha, alpha_fail = (each / 2 for each in alphas)
    low, high = bounds_of(main, alpha, alpha_fail, clump_s)
    failing, passing = (Rule(min(bound + margin, 1.0), clump_s, alpha, alpha_fail) for bound in (high, low))
    return failing, passing


def of_both(failing: Decision, passing: Decision) -> Decision:
    """The decision by both tests: what is above main's lower bound need not be above main."""
    if failing.verdict == "fail":
        return failing
    if passing.verdict == "fail":
        return replace(passing, verdict="inconclusive", reason="above_not_surely")
    return passing


def bounds_of(share: FailedShare, alpha_low: float, alpha_high: float, clump_s: float) -> tuple[float, float]:
    """One-sided bounds of the share, the lower one at 1 - alpha_low, the upper one at 1 - alpha_high."""
    n, k = share.n, share.exceeded
    low = float(betaincinv(k / share.deflation, (n - k) / share.deflation + 1, alpha_low)) if k else 0.0
    cautious = pass_deflation(share.deflation, n, share.seconds, clump_s)
    seen, moments = max(k / cautious, 1.0) if k else 0.0, n / cautious
    high = float(betaincinv(seen + 1, moments - seen, 1 - alpha_high)) if moments > seen else 1.0
    return low, high
