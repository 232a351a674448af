"""Decides PASS, FAIL or INCONCLUSIVE from k of n exceedances when requests are not independent. Pure arithmetic.

A gate is decided on exceedances: k of n arrivals were slow (or failed). One stall makes many requests slow, so the
counts are corrected in two ways:

    deflation D the design effect: how much more k varies over 20 batches of equal count than it would if
                  requests were independent (Korn and Graubard 1998); without it a FAIL would be overconfident
    clump the assumed mean length of a slow spell (correlation time), declared in the scenario: D cannot
                  be estimated where nothing was slow, so a PASS needs enough independent moments too

The bounds are those of Clopper and Pearson (1934) at k/D of n/D. Several runs pool by adding k, n and batches.
docs/benchmarks.md has the calibration of these rules, made by `bench/calibration.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, gammaincinv, ndtri, stdtrit

BATCHES: Final = 20
"""Per run."""
FEW: Final = 17
"""Below 2 x BATCHES arrivals D cannot be estimated; it is then n / FEW."""
_DEFLATION_ALPHA: Final = 0.05

Reason = Literal["decided", "no_arrivals", "above_not_surely", "too_few", "clump", "bursts"]


@dataclass(frozen=True, slots=True)
class Counts:
    """`k` of `n` arrivals exceeded, in batches of equal count: arrays of shape (batches,), run after run."""

    batch_k: NDArray[np.float64]
    batch_n: NDArray[np.float64]

    @classmethod
    def of(cls, *runs: NDArray[Any]) -> Counts:
        """From one array per run of 0/1 (or counts), in order of intended time."""
        return cls(
            np.concatenate([batch_sums(run) for run in runs] or [np.empty(0)]),
            np.concatenate([batch_sizes(len(run)) for run in runs] or [np.empty(0)]),
        )

    @property
    def n(self) -> int:
        return int(self.batch_n.sum())

    @property
    def k(self) -> int:
        return int(self.batch_k.sum())


@dataclass(frozen=True, slots=True)
class Rule:
    """The hypothesis: the share is below `p0`. `alpha` is the error of a PASS, `alpha_fail` that of a FAIL."""

    p0: float
    clump_s: float
    alpha: float
    alpha_fail: float


@dataclass(frozen=True, slots=True)
class Decision:
    """`low` and `high` bound the share: FAIL where `low` > p0, PASS where `high` < p0. `withstands_s`: of a PASS, the
    longest clump at which it would still hold."""

    verdict: Literal["pass", "fail", "inconclusive"]
    reason: Reason
    n: int
    k: int
    deflation: float
    low: float
    high: float
    withstands_s: float | None


def batch_edges(n: int) -> NDArray[np.int64]:
    return n * np.arange(BATCHES + 1, dtype=np.int64) // BATCHES


def batch_sizes(n: int) -> NDArray[np.float64]:
    return np.diff(batch_edges(n)).astype(np.float64)


def batch_sums(values: NDArray[Any]) -> NDArray[np.float64]:
    """Sums over 20 batches of equal count (to one)."""
    edges = batch_edges(len(values)).tolist()
    return np.array([values[a:b].sum(dtype=np.int64) for a, b in pairwise(edges)], np.float64)


def deflation(tally: Counts, *, seconds: float, clump_s: float) -> float:
    """The design effect D >= 1: how many arrivals count as one independent arrival."""
    n, k = tally.n, tally.k
    if k == 0:
        return 1.0
    if k >= n:  # no spread to estimate D from, as with k = 0, but here the clump is the cautious assumption
        return max(1.0, clump_s * n / seconds)
    squares = ((tally.batch_k - k / n * tally.batch_n) ** 2).sum()
    return float(_deflation_of(np.array([float(k)]), n, np.array([squares]), len(tally.batch_n))[0])


def passes(k: float, n: float, deflated_by: float, p0: float, alpha: float) -> bool:
    """Whether the share is below `p0` at confidence 1 - alpha."""
    seen, arrivals = _effective(k, n, deflated_by)
    return arrivals > seen and bool(betainc(seen + 1, arrivals - seen, p0) >= 1 - alpha)


def fails(k: float, n: float, deflated_by: float, p0: float, alpha_fail: float) -> bool:
    """Whether the share is above `p0` at confidence 1 - alpha_fail."""
    return k > 0 and bool(betainc(k / deflated_by, (n - k) / deflated_by + 1, p0) < alpha_fail)


def decide(tally: Counts, seconds: float, rule: Rule) -> Decision:
    """PASS, FAIL, or INCONCLUSIVE with its reason. `seconds`: the length of the window, summed over all runs."""
    n, k = tally.n, tally.k
    if n == 0 or seconds <= 0:
        return Decision("inconclusive", "no_arrivals", 0, 0, 1.0, 0.0, 1.0, None)
    spread = deflation(tally, seconds=seconds, clump_s=rule.clump_s)
    for_pass = pass_deflation(spread, n, seconds, rule.clump_s)
    low = float(betaincinv(k / spread, (n - k) / spread + 1, rule.alpha_fail)) if k else 0.0
    high = _high(k, n, for_pass, rule.alpha)
    if fails(k, n, spread, rule.p0, rule.alpha_fail):
        return Decision("fail", "decided", n, k, spread, low, high, None)
    if passes(k, n, for_pass, rule.p0, rule.alpha):
        withstands_s = max_design_effect(k, n, rule.p0, rule.alpha) * seconds / n
        return Decision("pass", "decided", n, k, spread, low, high, withstands_s)
    return Decision("inconclusive", _why(k, n, spread, rule), n, k, spread, low, high, None)


def pass_deflation(spread: float, n: int, seconds: float, clump_s: float) -> float:
    """The deflation for a PASS: the estimated one, or the one that follows from the clump, whichever is larger."""
    return max(spread, clump_s * n / seconds, 1.0)


def max_design_effect(k: int, n: int, p0: float, alpha: float) -> float:
    """The largest D at which (k, n) still passes; 0 if it passes at none."""
    if not passes(k, n, 1e-9, p0, alpha):
        return 0.0
    low, high = 1e-9, float(n)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if passes(k, n, middle, p0, alpha) else (low, middle)
    return low


def most_passing(n: int, deflated_by: float, p0: float, alpha: float) -> int:
    """The largest k that still passes, -1 if even k = 0 does not. So the quantile's upper bound is the (k + 1)-th
    largest value: PASS exactly if that is below the limit."""
    return _first(n, lambda k: not passes(k, n, deflated_by, p0, alpha)) - 1


def least_failing(n: int, deflated_by: float, p0: float, alpha_fail: float) -> int:
    """The smallest k that fails, n + 1 if none does. So the quantile's lower bound is the k-th largest value."""
    return _first(n, lambda k: fails(k, n, deflated_by, p0, alpha_fail))


def mean_bounds(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], alpha: float, *, spells_add: bool = True
) -> tuple[float, float]:
    """One-sided bounds at 1 - alpha each of the ratio of totals, by batch means.

    What a few spells added lies above the least batch, and few spells make a mean that is too low and a spread that is
    too small at once. So the bound on their side is the gamma bound of a sum of so many equal spells as have this
    spread (Fay and Feuer, 1997), if it is wider than Student's t, which is the bound on the other side. Neighbouring
    batches that are alike, as within a long spell, count by the spread of their pairs. `spells_add`: spells raise the
    figure (latency); else they lower it (throughput).
    """
    if not spells_add:
        low, high = mean_bounds(-sums, sizes, alpha)
        return -high, -low
    mean, variance = float(sums.sum() / sizes.sum()), _ratio_variance(sums, sizes)
    if len(sizes) % 2 == 0:
        variance = max(variance, _ratio_variance(sums.reshape(-1, 2).sum(axis=1), sizes.reshape(-1, 2).sum(axis=1)))
    student = float(stdtrit(len(sizes) - 1, 1 - alpha))
    reach = student * float(np.sqrt(variance))
    above = mean - float((sums[sizes > 0] / sizes[sizes > 0]).min())
    if reach == 0.0 or above <= 0.0:
        return mean - reach, mean + reach
    spells = (above * float(ndtri(1 - alpha)) / reach) ** 2
    raised = above * (float(gammaincinv(spells + 1, 1 - alpha)) / spells - 1)
    return mean - reach, mean + max(reach, raised)


def _ratio_variance(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """The variance of the ratio of totals, from the spread of the batches about it."""
    batches, total = len(sizes), sizes.sum()
    squares = ((sums - sums.sum() / total * sizes) ** 2).sum()
    return float(batches / (batches - 1) * squares / total**2)


def nearest_rank(values: NDArray[Any], quantiles: Sequence[float]) -> list[Any]:
    """Quantiles by nearest rank, all from one partition; values are never interpolated. `values` is not empty."""
    ranks = [max(0, int(np.ceil(round(q * len(values), 6))) - 1) for q in quantiles]
    parted = np.partition(values, sorted(set(ranks)))
    return [parted[rank] for rank in ranks]


def cannot_pass(
    slow: NDArray[np.float64], unknown: NDArray[np.float64], sizes: NDArray[np.float64], seconds: float, rule: Rule
) -> bool:
    """Whether FAIL holds for *every* way in which the unknown arrivals may end. The arrays have shape (batches,).

    For each number r of further slow arrivals the worst completion has the largest D, since FAIL
    weakens as D grows. The sum of squares is convex in how r is spread over the batches, so its chords
    bound it from above, and filling batches whole, steepest chord first, maximises the bound.
    """
    n, seen = int(sizes.sum()), int(slow.sum())
    left = int(unknown.sum())
    if seen == 0 or n == 0:
        return False
    chunk = 4096
    for first in range(0, left + 1, chunk):
        k = seen + np.arange(first, min(first + chunk, left + 1), dtype=np.float64)
        spread = _deflation_of(k, n, _most_squares(slow, unknown, sizes, k), len(sizes))
        spread[k >= n] = max(1.0, rule.clump_s * n / seconds)
        if not (betainc(k / spread, (n - k) / spread + 1, rule.p0) < rule.alpha_fail).all():
            return False
    return True


def _most_squares(
    slow: NDArray[np.float64], unknown: NDArray[np.float64], sizes: NDArray[np.float64], k: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each total k, an upper bound of the sum of squared deviations over all completions."""
    deviation = slow - (k / sizes.sum())[:, None] * sizes
    slope = unknown + 2 * deviation
    order = np.argsort(-slope, axis=1)
    room = np.take_along_axis(np.broadcast_to(unknown, slope.shape), order, axis=1)
    left = (k - slow.sum())[:, None] - (np.cumsum(room, axis=1) - room)
    filled = np.clip(left, 0, room)
    gained: NDArray[np.float64] = (filled * np.take_along_axis(slope, order, axis=1)).sum(axis=1)
    kept: NDArray[np.float64] = (deviation**2).sum(axis=1)
    return kept + gained


def _deflation_of(k: NDArray[np.float64], n: int, squares: NDArray[np.float64], batches: int) -> NDArray[np.float64]:
    """Korn and Graubard's design effect, from the sum of squared deviations; for 0 < k < n."""
    if n < 2 * batches:
        return np.full(len(k), max(1.0, n / FEW))
    p = k / n
    variance = batches / (batches - 1) * squares / n**2
    caution = (stdtrit(batches - 1, 1 - _DEFLATION_ALPHA) / ndtri(1 - _DEFLATION_ALPHA)) ** 2
    binomial = np.maximum(p * (1 - p) / n, 1e-300)
    spread: NDArray[np.float64] = np.maximum(1.0, variance / binomial * caution)
    return spread


def _effective(k: float, n: float, deflated_by: float) -> tuple[float, float]:
    # an observed exceedance counts as at least one event, whatever the deflation
    return (max(k / deflated_by, 1.0) if k else 0.0), n / deflated_by


def _high(k: int, n: int, deflated_by: float, alpha: float) -> float:
    seen, arrivals = _effective(k, n, deflated_by)
    return float(betaincinv(seen + 1, arrivals - seen, 1 - alpha)) if arrivals > seen else 1.0


def _why(k: int, n: int, spread: float, rule: Rule) -> Reason:
    if k / n >= rule.p0:
        return "above_not_surely"
    if not passes(k, n, 1.0, rule.p0, rule.alpha):
        return "too_few"
    return "clump" if passes(k, n, spread, rule.p0, rule.alpha) else "bursts"


def _first(n: int, holds: Callable[[int], bool]) -> int:
    """The smallest k in 0 … n for which a monotone `holds` is true, or n + 1."""
    low, high = 0, n + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
