"""The vectors and properties of the decision rule, as the design has them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.gates.quantiles import quantile_bounds
from harness.statistics import (
    BATCHES,
    Counts,
    Decision,
    Rule,
    batch_edges,
    batch_sizes,
    batch_sums,
    cannot_pass,
    decide,
    deflation,
    fails,
    least_failing,
    mean_bounds,
    most_passing,
    nearest_rank,
    passes,
)

RULE = Rule(p0=0.01, clump_s=0.1, alpha=0.05, alpha_fail=0.05)


def rows(n: int, slow: Iterable[int]) -> NDArray[np.bool_]:
    found = np.zeros(n, np.bool_)
    found[list(slow)] = True
    return found


def spread(n: int, k: int) -> list[int]:
    return [n * (2 * i + 1) // (2 * k) for i in range(k)]


def decided(n: int, seconds: float, slow: Iterable[int], rule: Rule = RULE) -> Decision:
    return decide(Counts.of(rows(n, slow)), seconds, rule)


@pytest.mark.parametrize(
    ("n", "seconds", "slow", "withstands_s"),
    [(1200, 30, [], 0.10), (2400, 60, [], 0.20), (2400, 60, spread(2400, 7), 0.10)],
)
def test_vectors_that_pass(n: int, seconds: float, slow: list[int], withstands_s: float) -> None:
    decision = decided(n, seconds, slow)
    assert decision.verdict == "pass"
    assert decision.withstands_s == pytest.approx(withstands_s, abs=0.005)


@pytest.mark.parametrize(
    ("n", "seconds", "slow", "reason"),
    [
        (1200, 29.8, [], "clump"),
        (2400, 60, spread(2400, 8), "clump"),
        (2400, 60, range(700, 707), "bursts"),
        (2400, 60, range(700, 796), "above_not_surely"),
        (200, 60, [], "too_few"),
        (0, 60, [], "no_arrivals"),
    ],
)
def test_vectors_that_decide_nothing(n: int, seconds: float, slow: Iterable[int], reason: str) -> None:
    decision = decided(n, seconds, slow)
    assert (decision.verdict, decision.reason) == ("inconclusive", reason)
    assert decision.withstands_s is None


@pytest.mark.parametrize("slow", [range(700, 900), spread(2400, 48), range(2400)])
def test_vectors_that_fail(slow: Iterable[int]) -> None:
    assert decided(2400, 60, slow).verdict == "fail"


def test_deflation_as_published() -> None:
    """The formula of the design, written out naively."""
    slow = rows(2400, [*range(100, 140), *range(900, 915), 2000])
    n, k = len(slow), int(slow.sum())
    squares = sum(
        (int(slow[n * b // 20 : n * (b + 1) // 20].sum()) - k / n * (n * (b + 1) // 20 - n * b // 20)) ** 2
        for b in range(20)
    )
    variance = 20 / 19 * squares / n**2
    naive = max(1.0, variance / (k / n * (1 - k / n) / n) * (1.729133 / 1.644854) ** 2)
    assert deflation(Counts.of(slow), seconds=60, clump_s=0.1) == pytest.approx(naive, rel=1e-6)


def test_deflation_at_its_edges() -> None:
    assert deflation(Counts.of(rows(2400, [])), seconds=60, clump_s=0.1) == 1.0
    assert deflation(Counts.of(rows(2400, range(2400))), seconds=60, clump_s=0.1) == pytest.approx(4.0)
    assert deflation(Counts.of(rows(34, [3])), seconds=60, clump_s=0.1) == 2.0


def test_runs_pool_by_adding_batches() -> None:
    """Three short runs without a slow request decide what one of them cannot."""
    short = rows(800, [])
    assert decide(Counts.of(short), 20, RULE).verdict == "inconclusive"
    pooled = decide(Counts.of(short, short, short), 60, RULE)
    assert pooled.verdict == "pass"
    assert pooled.n == 2400


def test_a_fails_error_is_shared_out_over_the_gates() -> None:
    at_the_edge = spread(2400, 35)
    assert decided(2400, 60, at_the_edge).verdict == "fail"
    assert decided(2400, 60, at_the_edge, Rule(0.01, 0.1, 0.05, 0.05 / 10)).verdict == "inconclusive"


@given(st.integers(1, 3000), st.data())
def test_verdicts_agree_with_the_bounds_that_are_shown(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    at = data.draw(st.integers(0, n - k))
    seconds = data.draw(st.floats(1, 120))
    decision = decided(n, seconds, range(at, at + k))
    assert (decision.verdict == "fail") == (decision.low > RULE.p0)
    if decision.verdict == "pass":
        assert decision.high < RULE.p0 + 1e-12
    assert decision.low <= k / n + 1e-12


@given(st.integers(40, 4000), st.floats(1.0, 40.0), st.sampled_from([0.001, 0.01, 0.1, 0.5]))
def test_passing_and_failing_counts_are_monotone(n: int, spread_by: float, p0: float) -> None:
    best = most_passing(n, spread_by, p0, 0.05)
    worst = least_failing(n, spread_by, p0, 0.05)
    assert -1 <= best < worst <= n + 1
    if best >= 0:
        assert passes(best, n, spread_by, p0, 0.05)
        assert not passes(best + 1, n, spread_by, p0, 0.05)
    if worst <= n:
        assert fails(worst, n, spread_by, p0, 0.05)
        assert not fails(worst - 1, n, spread_by, p0, 0.05)


@given(st.integers(1, 500), st.integers(500, 3000), st.floats(1, 100), st.floats(1, 100))
def test_more_deflation_never_turns_anything_into_a_verdict(k: int, n: int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    if passes(k, n, more, 0.01, 0.05):
        assert passes(k, n, less, 0.01, 0.05)
    if fails(k, n, more, 0.01, 0.05):
        assert fails(k, n, less, 0.01, 0.05)


@given(st.lists(st.integers(0, 10_000), min_size=60, max_size=600), st.sampled_from([0.5, 0.1, 0.01]))
def test_a_latency_verdict_follows_from_the_quantiles_bounds(values: list[int], p0: float) -> None:
    latency = np.array(values, np.int64) * 1_000_000
    rule = Rule(p0, 0.1, 0.05, 0.05)
    limit_ns = 5_000 * 1_000_000
    decision = decide(Counts.of(latency >= limit_ns), 60, rule)
    bounds = quantile_bounds([latency], 60, rule, at_ns=limit_ns)
    assert (decision.verdict == "pass") == (bounds.high_ms is not None and bounds.high_ms < 5_000)
    assert (decision.verdict == "fail") == (bounds.low_ms is not None and bounds.low_ms >= 5_000)
    assert bounds.observed_ms is not None
    if bounds.low_ms is not None:
        assert bounds.low_ms <= bounds.observed_ms
    if bounds.high_ms is not None:
        assert bounds.observed_ms <= bounds.high_ms


@given(st.lists(st.integers(-5, 99), min_size=1), st.floats(0.001, 1.0))
def test_nearest_rank_never_interpolates(values: list[int], q: float) -> None:
    found = nearest_rank(np.array(values), [q])[0]
    assert found in values
    assert sum(value <= found for value in values) >= q * len(values) - 1e-6


@given(st.lists(st.integers(0, 3), max_size=400))
def test_batches_hold_everything_once_and_equally(values: list[int]) -> None:
    array = np.array(values, np.int64)
    sizes = batch_sizes(len(values))
    assert batch_sums(array).sum() == sum(values)
    assert sizes.sum() == len(values)
    assert sizes.max() - sizes.min() <= 1


def test_batch_means_bound_a_ratio() -> None:
    sums = np.array([8.0, 8.2, 7.8, 8.1] * 5)
    low, high = mean_bounds(sums, np.ones(20), 0.05)
    reach = 1.729133 * np.std(sums, ddof=1) / np.sqrt(20)
    assert low == pytest.approx(8.025 - reach)
    assert 8.025 + reach < high < 8.025 + 1.2 * reach  # many small spells are nearly symmetrical


def test_few_spells_widen_the_bound_on_their_side_only() -> None:
    """Three spells in twenty batches: the exact upper limit of a Poisson count of 3 is 7.75, by Student's t 5.7."""
    sums = np.ones(20)
    sums[[2, 9, 15]] += 1
    low, high = mean_bounds(sums, np.ones(20), 0.05)
    reach = 1.729133 * np.std(sums, ddof=1) / np.sqrt(20)
    assert low == pytest.approx(1.15 - reach)
    assert 1 + 7.7 / 20 < high < 1 + 9 / 20
    mirrored = mean_bounds(-sums, np.ones(20), 0.05, spells_add=False)
    assert mirrored == pytest.approx((-high, -low))


def test_a_spell_over_two_batches_is_one() -> None:
    apart, together = np.ones(20), np.ones(20)
    apart[[2, 5, 10, 13]] += 5
    together[[2, 3, 10, 11]] += 5
    low, high = mean_bounds(together, np.ones(20), 0.05)
    others = mean_bounds(apart, np.ones(20), 0.05)
    assert low < others[0]
    assert high > others[1]


@given(st.lists(st.floats(0, 1e9), min_size=20, max_size=20), st.booleans())
def test_bounds_of_a_mean_contain_it_whatever_it_is(sums: list[float], spells_add: bool) -> None:
    values = np.array(sums)
    low, high = mean_bounds(values, np.ones(20), 0.025, spells_add=spells_add)
    assert low <= values.mean() * (1 + 1e-9)
    assert high >= values.mean() * (1 - 1e-9)


# ---------------------------------------------------------------- stopping early


def outage(n: int, known: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Everything slow so far, nothing known beyond."""
    slow = np.arange(n) < known
    return batch_sums(slow), batch_sums(~slow), batch_sizes(n)


@pytest.mark.parametrize(("gates", "most"), [(1, 0.086), (3, 0.108)])
def test_a_total_outage_is_doomed_early(gates: int, most: float) -> None:
    rule = Rule(0.01, 0.1, 0.05, 0.05 / gates)
    first = next(known for known in range(2400) if cannot_pass(*outage(2400, known), 60, rule))
    assert 0.04 < first / 2400 <= most


def test_nothing_slow_dooms_nothing() -> None:
    assert not cannot_pass(*outage(2400, 0), 60, RULE)
    assert not cannot_pass(np.zeros(BATCHES), np.zeros(BATCHES), np.zeros(BATCHES), 60, RULE)


def test_doomed_is_decided_when_nothing_is_left() -> None:
    for k in (20, 48, 200):
        slow = rows(2400, range(700, 700 + k))
        sure = cannot_pass(batch_sums(slow), np.zeros(BATCHES), batch_sizes(2400), 60, RULE)
        assert sure == (decide(Counts.of(slow), 60, RULE).verdict == "fail")


@st.composite
def completions(draw: st.DrawFn) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """What is known of a plan (1 slow, 0 fast, -1 unknown), and one way in which it may end."""
    n = draw(st.integers(60, 700))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    known = draw(st.integers(1, n))
    slow_share = draw(st.floats(0.02, 1.0))
    state = np.full(n, -1, np.int8)
    state[:known] = rng.random(known) < slow_share
    if draw(st.booleans()):  # holes: rows that have not been written yet
        state[rng.integers(0, n, draw(st.integers(0, 40)))] = -1
    ended = state == 1
    unknown = np.flatnonzero(state == -1)
    style = draw(st.sampled_from(["fast", "slow", "random", "one stretch", "whole batches"]))
    if style == "slow":
        ended[unknown] = True
    elif style == "random":
        ended[unknown] = rng.random(len(unknown)) < rng.random()
    elif style == "one stretch" and len(unknown):
        first = int(rng.integers(0, len(unknown)))
        ended[unknown[first : first + int(rng.integers(0, len(unknown) + 1))]] = True
    elif style == "whole batches":
        chosen = rng.random(BATCHES) < rng.random()
        batch = np.searchsorted(batch_edges(n), unknown, side="right") - 1
        ended[unknown[chosen[batch]]] = True
    return state, ended


@settings(max_examples=400)
@given(completions(), st.sampled_from([0.01, 0.05, 0.2]), st.sampled_from([0.05, 0.01]))
def test_doomed_means_that_every_completion_fails(
    plan: tuple[NDArray[np.int8], NDArray[np.bool_]], p0: float, alpha_fail: float
) -> None:
    state, ended = plan
    rule = Rule(p0, 0.1, 0.05, alpha_fail)
    sizes = batch_sizes(len(state))
    if cannot_pass(batch_sums(state == 1), batch_sums(state == -1), sizes, 20, rule):
        assert decide(Counts.of(ended), 20, rule).verdict == "fail"


@settings(max_examples=60)
@given(completions(), st.integers(0, 2**31))
def test_knowing_more_never_undoes_a_doom(plan: tuple[NDArray[np.int8], NDArray[np.bool_]], seed: int) -> None:
    state, ended = plan
    sizes = batch_sizes(len(state))
    if not cannot_pass(batch_sums(state == 1), batch_sums(state == -1), sizes, 20, RULE):
        return
    learnt = (state == -1) & (np.random.default_rng(seed).random(len(state)) < 0.5)
    state = np.where(learnt, ended, state).astype(np.int8)
    assert cannot_pass(batch_sums(state == 1), batch_sums(state == -1), sizes, 20, RULE)
