from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.rundir.rows import Outcome
from reports.timeline import bins_for, flow_by_bin, outcomes_by_bin, p99_by_group, standing_ms


def test_no_bin_straddles_the_edge_of_a_fault() -> None:
    bins = bins_for(0.0, 100_000.0, [33_333.0, 41_007.5], 4_000)
    edges = bins.edges_ms.tolist()
    assert {0.0, 33_333.0, 41_007.5, 100_000.0} <= set(edges)
    assert edges == sorted(set(edges))


@given(
    st.floats(1.0, 4e7),
    st.lists(st.floats(-1e3, 5e7), max_size=20),
    st.integers(0, 10_000_000),
)
def test_bins_cover_the_run_and_stay_few(end_ms: float, cuts: list[float], n: int) -> None:
    bins = bins_for(0.0, end_ms, cuts, n)
    assert bins.edges_ms[0] == 0.0
    assert bins.edges_ms[-1] == end_ms
    assert (np.diff(bins.edges_ms) > 0).all()
    assert len(bins) <= 160 + 2 * len(cuts) + 1


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(1, 9), st.booleans()), max_size=300))
def test_p99_is_the_nearest_rank_of_each_bins_own_rows(rows: list[tuple[int, int, bool]]) -> None:
    group = np.array([row[0] for row in rows], dtype=np.intp)
    value = np.array([row[1] for row in rows], dtype=np.float64)
    failed = np.array([row[2] for row in rows], dtype=np.bool_)
    got = p99_by_group(group, 4, value, failed)
    for bin_index in range(4):
        mine = sorted((row[2], row[1]) for row in rows if row[0] == bin_index)
        assert got.n[bin_index] == len(mine)
        if not mine:
            assert math.isnan(got.value_ms[bin_index])
            assert not got.failed[bin_index]
            continue
        lost, ms = mine[math.ceil(0.99 * len(mine) - 1e-9) - 1]
        assert (bool(got.failed[bin_index]), got.value_ms[bin_index]) == (lost, ms)


def test_a_fast_failure_ranks_behind_a_slow_success() -> None:
    group = np.zeros(2, dtype=np.intp)
    got = p99_by_group(group, 1, np.array([1.0, 5_000.0]), np.array([True, False]))
    assert got.failed[0]
    assert got.value_ms[0] == 1.0


def test_a_standing_delay_counts_while_it_was_applied_and_not_a_nanosecond_longer() -> None:
    done_ns = np.array([9, 10, 19, 20, 40], dtype=np.int64)
    standing, met = standing_ms(done_ns, [(10, 20, 60_000.0), (15, 30, 5.0)])
    assert standing.tolist() == [0.0, 60_000.0, 60_000.0, 5.0, 0.0]
    assert met.tolist() == [False, True, True, True, False]


def test_outcomes_are_counted_by_kind_and_bin() -> None:
    bins = bins_for(0.0, 2_000.0, [1_000.0], 10)
    outcome = np.array([Outcome.OK, Outcome.DROPPED, Outcome.OK, Outcome.OK], dtype=np.uint8)
    counts = outcomes_by_bin(bins, bins.of(np.array([0.0, 1_999.0, 1_000.0, 2_000.0])), outcome)
    assert counts.sum() == 3, "an arrival at the end belongs to no bin"
    assert counts[Outcome.DROPPED].tolist()[-1] == 1
    assert counts.shape == (len(Outcome), len(bins))


def test_in_flight_knows_what_the_warm_up_left_open_and_that_a_drop_was_never_sent() -> None:
    bins = bins_for(0.0, 1_000.0, [], 10)
    sent = np.array([-500.0, 100.0, 100.0])
    done = np.array([700.0, 5_000.0, 100.0])
    outcome = np.array([Outcome.OK, Outcome.OK, Outcome.DROPPED], dtype=np.uint8)
    flow = flow_by_bin(bins, [(sent, done, outcome)])
    assert flow.in_flight.tolist() == [2, 1]
    assert flow.sent_per_s.tolist() == [2.0, 0.0]
    assert flow.ok_per_s.tolist() == [0.0, 2.0]
