"""How long a gate needs: each length that is given decides, and one that is a little shorter does not."""

from __future__ import annotations

import numpy as np
import pytest

from harness.gates.parse import parse_gate
from harness.rundir.searches.planned import DecisionTimes
from harness.search.decision_times import decision_times
from harness.statistics import Counts, Rule, decide

RATE_PER_S = 40.0
RULE = Rule(p0=0.01, clump_s=0.1, alpha=0.05, alpha_fail=0.05)


def times(
    text: str,
    *,
    rate_per_s: float | None = RATE_PER_S,
    planned_s: float = 60.0,
    clump_ms: float = 100,
    runs: int = 1,
    is_steady: bool = True,
) -> DecisionTimes:
    return decision_times(
        parse_gate(text),
        rate_per_s=rate_per_s,
        planned_s=planned_s,
        clump_ms=clump_ms,
        confidence=0.95,
        alpha_fail=0.05,
        runs=runs,
        is_steady=is_steady,
    )


def verdict_of(slow_share: float, seconds: float) -> str:
    n = round(seconds * RATE_PER_S)
    slow = np.diff(np.floor(np.arange(n + 1) * slow_share + 1e-9))
    return decide(Counts.of(slow), seconds, RULE).verdict


def test_nothing_slow_passes_after_299_moments() -> None:
    healthy_s = times("p99 < 2s").healthy_s
    assert healthy_s is not None
    assert healthy_s == pytest.approx(29.9, abs=0.7)
    assert verdict_of(0, healthy_s) == "pass"
    assert verdict_of(0, 29.8) == "inconclusive"


def test_at_few_requests_a_second_requests_are_what_is_missing() -> None:
    assert times("p99 < 2s", rate_per_s=2).healthy_s == pytest.approx(299 / 2, rel=0.03)


@pytest.mark.parametrize(("share", "verdict", "which"), [(0.005, "pass", "half_s"), (0.02, "fail", "twice_s")])
def test_slow_requests_spread_evenly(share: float, verdict: str, which: str) -> None:
    seconds = getattr(times("p99 < 2s"), which)
    assert verdict_of(share, seconds) == verdict
    assert verdict_of(share, seconds * 0.6) == "inconclusive"


def test_an_outage_fails_from_the_share_of_the_window_that_the_rule_gives() -> None:
    """docs/verdicts.md: a single stall FAILs from 7.8 % of the window on."""
    assert times("p99 < 2s").outage_s == pytest.approx(0.078 * 60, rel=0.05)
    assert times("p99 < 2s", planned_s=600).outage_s == pytest.approx(0.078 * 600, rel=0.05)


def test_a_share_of_errors_is_decided_by_the_share_that_it_allows() -> None:
    assert times("errors < 10%").healthy_s == pytest.approx(2.9, abs=0.3)
    assert times("complete > 99%") == times("errors < 1%") == times("p99 < 2s")


@pytest.mark.parametrize("text", ["p99 < 1.5x baseline", "throughput > 30/s", "rss < 300MB"])
def test_of_a_gate_that_no_share_decides_only_the_least_length_is_known(text: str) -> None:
    found = times(text)
    assert found.healthy_s is not None
    assert (found.outage_s, found.half_s, found.twice_s) == (None, None, None)


def test_what_a_day_does_not_decide_is_unknown() -> None:
    assert times("p99.99 < 2s", rate_per_s=0.1, planned_s=60).healthy_s is None
    assert times("p99 < 2s", rate_per_s=0).healthy_s is None


def test_twice_of_more_than_a_half_cannot_be() -> None:
    assert times("p40 < 2s").twice_s is None


# ---------------------------------------------------------------- outages


def outage(n: int, stalled: int, begins: int, runs: int = 1) -> str:
    """The verdict on so many slow requests in a row in the first of the runs, each of `n` requests and 60 s."""
    slow = [np.zeros(n) for _ in range(runs)]
    slow[0][begins : begins + stalled] = 1
    return decide(Counts.of(*slow), 60.0 * runs, RULE).verdict


@pytest.mark.parametrize("n", [40, 77, 300, 2_400])
@pytest.mark.parametrize("runs", [1, 2, 3])
def test_an_outage_fails_the_gate_from_the_beginning_of_the_phase_of_one_run_of_a_pool(n: int, runs: int) -> None:
    outage_s = times("p99 < 2s", rate_per_s=n / 60, runs=runs).outage_s
    assert outage_s is not None
    stalled = round(outage_s / 60 * n)
    assert outage(n, stalled, 0, runs) == "fail"
    assert outage(n, stalled - 1, 0, runs) != "fail"


def test_where_many_requests_come_an_outage_may_begin_anywhere_in_the_phase() -> None:
    stalled = round((times("p99 < 2s").outage_s or 0) * RATE_PER_S)
    assert {outage(2_400, stalled, begins) for begins in range(0, 2_400 - stalled, 7)} == {"fail"}


def test_an_outage_is_found_without_an_array_of_all_requests() -> None:
    found_s = times("p99 < 2s", rate_per_s=1e9, planned_s=86_400).outage_s
    assert found_s == pytest.approx(0.076 * 86_400, rel=0.03)


def test_no_outage_is_said_that_would_not_fail_the_gate() -> None:
    """Four requests, all of them slow, are too few for a FAIL at half of them."""
    assert decide(Counts.of(np.ones(4)), 60.0, Rule(p0=0.5, clump_s=0.1, alpha=0.05, alpha_fail=0.05)).verdict != "fail"
    assert times("p50 < 2s", rate_per_s=4 / 60).outage_s is None


def test_at_a_rate_that_changes_no_outage_is_said() -> None:
    steady, changing = times("p99 < 2s"), times("p99 < 2s", is_steady=False)
    assert changing.outage_s is None
    assert (changing.healthy_s, changing.half_s, changing.twice_s) == (steady.healthy_s, steady.half_s, steady.twice_s)


# ---------------------------------------------------------------- what is known of any gate


def test_where_the_rate_is_not_known_only_moments_are() -> None:
    assert times("p99 < 2s", rate_per_s=None) == DecisionTimes(healthy_s=29.9)
    assert times("rss < 300MB", rate_per_s=None) == times("rss < 300MB")


@pytest.mark.parametrize("text", ["max < 5s", "errors = 0"])
def test_a_gate_that_any_request_decides_needs_one(text: str) -> None:
    assert times(text, rate_per_s=0.1).healthy_s == 10
    assert times(text, rate_per_s=0).healthy_s is None


def test_each_run_of_a_pool_needs_the_readings_of_a_gate_on_them() -> None:
    one_s, two_s = times("rss < 300MB").healthy_s, times("rss < 300MB", runs=2).healthy_s
    assert one_s is not None
    assert two_s == 2 * one_s
