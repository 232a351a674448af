"""Schedules: pure, reproducible, and of the rate that was asked for."""

from __future__ import annotations

import math
import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rundir.planned.load import Schedule, Stage
from scenarios.load import arrivals_ns, peak_rate_per_s, rate_at, request_index, schedules, stages
from scenarios.load.choice import request_indices

RATES = st.floats(0, 200)
STAGES = st.lists(
    st.builds(Stage, start_per_s=RATES, end_per_s=RATES, duration_ms=st.floats(1, 20_000)), min_size=1, max_size=4
)
SCHEDULES = st.builds(
    Schedule,
    start_ms=st.floats(-20_000, 0),
    arrivals=st.sampled_from(["poisson", "constant"]),
    stages=STAGES.map(tuple),
)


def steady(rate_per_s: float, duration_ms: float, *, start_ms: float = 0, arrivals: str = "constant") -> Schedule:
    stage = Stage(start_per_s=rate_per_s, end_per_s=rate_per_s, duration_ms=duration_ms)
    return Schedule.model_validate({"start_ms": start_ms, "arrivals": arrivals, "stages": (stage,)})


@given(SCHEDULES, st.integers(-5, 2**40))
def test_arrivals_ascend_and_stay_within_the_stages(schedule: Schedule, seed: int) -> None:
    found = arrivals_ns(schedule, seed)
    assert list(found) == sorted(found)
    if found:
        end_ms = schedule.start_ms + sum(stage.duration_ms for stage in schedule.stages)
        assert found[0] >= math.floor(schedule.start_ms * 1e6)
        assert found[-1] < end_ms * 1e6 + 1


@given(SCHEDULES, st.integers(0, 2**40))
def test_the_same_seed_gives_the_same_arrivals(schedule: Schedule, seed: int) -> None:
    assert arrivals_ns(schedule, seed) == arrivals_ns(schedule, seed)


@given(SCHEDULES)
def test_constant_arrivals_are_as_many_as_the_rate_integrates_to(schedule: Schedule) -> None:
    even = schedule.model_copy(update={"arrivals": "constant"})
    expected = sum((s.start_per_s + s.end_per_s) / 2 * s.duration_ms / 1000 for s in schedule.stages)
    assert abs(len(arrivals_ns(even, 0)) - expected) <= 1


def test_constant_spacing_begins_at_the_start_and_is_even() -> None:
    assert list(arrivals_ns(steady(4, 1000, start_ms=-500), 0)) == [-500_000_000, -250_000_000, 0, 250_000_000]


def test_a_ramp_puts_its_arrivals_where_the_integral_says() -> None:
    """From 0 to 10/s in 10 s, Λ(t) = t²/2, so arrival k comes at √(2k)."""
    ramp = Stage(start_per_s=0, end_per_s=10, duration_ms=10_000)
    found = arrivals_ns(Schedule(start_ms=0, arrivals="constant", stages=(ramp,)), 0)
    assert len(found) == 50
    assert found[8] == pytest.approx(math.sqrt(16) * 1e9, abs=2)
    assert found[49] == pytest.approx(math.sqrt(98) * 1e9, abs=2)


def test_a_ramp_down_mirrors_a_ramp_up() -> None:
    up = Stage(start_per_s=0, end_per_s=10, duration_ms=10_000)
    down = Stage(start_per_s=10, end_per_s=0, duration_ms=10_000)
    found = arrivals_ns(Schedule(start_ms=0, arrivals="constant", stages=(up, down)), 0)
    assert len(found) == 100
    assert found[98] == pytest.approx(20e9 - math.sqrt(4) * 1e9, abs=4)


def test_a_stage_without_arrivals_is_passed_over() -> None:
    busy = Stage(start_per_s=10, end_per_s=10, duration_ms=1000)
    idle = Stage(start_per_s=0, end_per_s=0, duration_ms=5000)
    found = arrivals_ns(Schedule(start_ms=0, arrivals="poisson", stages=(busy, idle, busy)), 3)
    assert found
    assert all(at_ns < 1e9 or at_ns >= 6e9 for at_ns in found)


def test_poisson_gaps_have_mean_and_deviation_of_an_exponential() -> None:
    found = arrivals_ns(steady(100, 200_000, arrivals="poisson"), 1)
    gaps = [later - sooner for sooner, later in pairwise(found)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert mean == pytest.approx(10e6, rel=0.03)
    assert deviation == pytest.approx(10e6, rel=0.05)


def test_poisson_arrivals_are_these_for_ever() -> None:
    """A run made by one version of Python or tailgate must be judged the same by another."""
    found = arrivals_ns(steady(10, 1000, arrivals="poisson"), 42)
    assert list(found[:4]) == [102_006_029, 104_538_913, 136_701_319, 161_959_938]


@given(SCHEDULES, st.integers(-5, 2**64), st.sampled_from([1, 7, 1000]))
def test_many_arrivals_are_to_the_nanosecond_those_that_a_worker_computes_one_by_one(
    schedule: Schedule, seed: int, block: int
) -> None:
    """A worker without numpy and a judge with it plan one run. The blocks end within stages and between them."""
    spacing = schedules.SPACINGS[schedule.arrivals]
    many = stages.many_arrivals_ns(schedule.stages, schedule.start_ms, spacing.unit_time_blocks(seed, block))
    assert many == arrivals_ns(schedule, seed)


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_from_many_arrivals_on_they_are_computed_by_arrays(arrivals: str) -> None:
    long = steady(1000, schedules.MANY + 500, start_ms=-1000, arrivals=arrivals)
    spacing = schedules.SPACINGS[arrivals]
    found = arrivals_ns(long, 11)
    assert len(found) > schedules.MANY * 0.99
    assert found == stages.arrivals_ns(long.stages, long.start_ms, spacing.unit_times(11))


@given(
    st.integers(-5, 2**64),
    st.lists(st.integers(0, 2**50), max_size=20),
    st.lists(st.integers(0, 2**33), min_size=1, max_size=5).filter(any),
)
def test_which_requests_many_arrivals_send_is_what_each_of_them_sends(
    seed: int, seqs: list[int], weights: list[int]
) -> None:
    found = request_indices(seed, np.array(seqs, np.int64), weights)
    assert found.tolist() == [request_index(seed, seq, weights) for seq in seqs]


def test_a_replay_is_the_recording_in_order() -> None:
    schedule = Schedule(start_ms=-10, replay_ms=(5.5, -10.0, 2000.25, 6.0))
    assert list(arrivals_ns(schedule, 9)) == [-10_000_000, 5_500_000, 6_000_000, 2_000_250_000]
    assert peak_rate_per_s(schedule) == 3
    assert rate_at(schedule, 0) == 3
    assert rate_at(schedule, 2400) == 1
    assert rate_at(schedule, 9000) == 0


def test_peak_and_momentary_rate() -> None:
    stages = (
        Stage(start_per_s=10, end_per_s=10, duration_ms=1000),
        Stage(start_per_s=10, end_per_s=50, duration_ms=2000),
    )
    schedule = Schedule(start_ms=-1000, stages=stages)
    assert peak_rate_per_s(schedule) == 50
    assert [rate_at(schedule, at_ms) for at_ms in (-1001, -1000, 0, 1000, 2000)] == [0, 10, 10, 30, 0]


@pytest.mark.alone
def test_ten_minutes_at_500_a_second_are_made_in_less_than_a_second() -> None:
    began = time.process_time()
    found = arrivals_ns(steady(500, 600_000, arrivals="poisson"), 0)
    assert len(found) == pytest.approx(300_000, rel=0.02)
    assert time.process_time() - began < 1


@given(st.integers(-(2**70), 2**70), st.integers(0, 2**64), st.lists(st.integers(0, 50), min_size=1, max_size=6))
def test_a_draw_is_an_index_of_positive_weight(seed: int, seq: int, weights: list[int]) -> None:
    if sum(weights) == 0:
        with pytest.raises(ValueError, match="more than 0"):
            request_index(seed, seq, weights)
        return
    index = request_index(seed, seq, weights)
    assert weights[index] > 0
    assert request_index(seed, seq, tuple(weights)) == index


def test_draws_follow_the_weights() -> None:
    counts = Counter(request_index(1, seq, (1, 0, 3)) for seq in range(20_000))
    assert counts[1] == 0
    assert counts[2] / counts[0] == pytest.approx(3, rel=0.06)
    assert [request_index(1, seq, (1, 1)) for seq in range(8)] != [request_index(2, seq, (1, 1)) for seq in range(8)]
