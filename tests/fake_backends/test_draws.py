"""Draws and profiles: the same question draws the same, and the percentiles are those asked for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_backends.draws import CallCounter, Draws
from harness.upstreams.profiles import Lognormal

SEQS = st.integers(0, 2**64 - 1)
CALLS = st.tuples(SEQS, st.integers(0, 50))


@given(st.integers(), st.permutations(range(20)))
def test_a_draw_does_not_depend_on_the_order_of_the_questions(seed: int, order: list[int]) -> None:
    in_order = Draws(seed, "latency", "azure")
    expected = [in_order.uniform(seq, 0) for seq in range(20)]
    shuffled = Draws(seed, "latency", "azure")
    drawn = {seq: shuffled.uniform(seq, 0) for seq in order}
    assert [drawn[seq] for seq in range(20)] == expected


@given(CALLS)
def test_a_draw_is_inside_the_open_interval(call: tuple[int, int]) -> None:
    assert 0 < Draws(0, "latency", "azure").uniform(*call) < 1


@pytest.mark.parametrize("digest", [b"\x00" * 8, b"\xff" * 8])
def test_not_even_the_rarest_draw_is_an_end_of_the_interval(digest: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Rarest:
        def copy(self) -> Rarest:
            return self

        def update(self, _key: bytes) -> None: ...

        def digest(self) -> bytes:
            return digest

    draws = Draws(0, "latency", "azure")
    monkeypatch.setattr(draws, "_prefix", Rarest())
    assert 0 < draws.uniform(0, 0) < 1


@given(CALLS)
def test_every_part_of_the_key_matters(call: tuple[int, int]) -> None:
    seq, nth = call
    draws = {
        Draws(seed, stream, upstream).uniform(seq, nth + more)
        for seed in (1, 2)
        for stream in ("latency", "share")
        for upstream in ("azure", "gcp")
        for more in (0, 1)
    }
    assert len(draws) == 16


def test_parts_of_the_key_do_not_run_into_each_other() -> None:
    assert Draws(1, "a", "bc").uniform(0, 0) != Draws(1, "ab", "c").uniform(0, 0)
    assert Draws(11, "", "").uniform(0, 0) != Draws(1, "1", "").uniform(0, 0)


def test_draws_stay_what_they_were() -> None:
    """A run of last month must replay: a change here is a change of every recorded plan's meaning."""
    draws = Draws(0, "latency", "azure")
    assert [round(draws.uniform(seq, 0), 12) for seq in range(3)] == PINNED


PINNED = [0.065121588892, 0.650427270307, 0.370987473322]


@pytest.mark.parametrize(("p50_ms", "p99_ms"), [(60.0, 140.0), (300.0, 900.0), (1.0, 60_000.0)])
def test_the_percentiles_of_many_draws_are_those_asked_for(p50_ms: float, p99_ms: float) -> None:
    """100,000 draws: the counts below p50 and p99 are binomial, and five deviations leave room."""
    n = 100_000
    profile, draws = Lognormal.from_percentiles(p50_ms, p99_ms), Draws(3, "latency", "azure")
    latencies = [profile.latency_ms(draws.uniform(seq, 0)) for seq in range(n)]
    for share, limit_ms in ((0.5, p50_ms), (0.99, p99_ms)):
        below = sum(latency < limit_ms for latency in latencies)
        assert abs(below - n * share) < 5 * math.sqrt(n * share * (1 - share))


@given(st.floats(0.1, 8e3), st.floats(1, 1e4))
def test_the_percentiles_are_met_exactly(p50_ms: float, ratio: float) -> None:
    profile = Lognormal.from_percentiles(p50_ms, p50_ms * ratio)
    assert profile.latency_ms(0.5) == pytest.approx(p50_ms)
    assert profile.latency_ms(0.99) == pytest.approx(p50_ms * ratio)


@given(st.floats(0.001, 0.999))
def test_equal_percentiles_make_it_constant(uniform: float) -> None:
    assert Lognormal.from_percentiles(80, 80).latency_ms(uniform) == pytest.approx(80)


@pytest.mark.parametrize(("p50_ms", "p99_ms"), [(0, 10), (-1, 10), (10, 9)])
def test_impossible_percentiles_are_refused(p50_ms: float, p99_ms: float) -> None:
    with pytest.raises(ValueError, match="p50 must be above zero and at most p99"):
        Lognormal.from_percentiles(p50_ms, p99_ms)


def test_calls_of_one_request_are_counted_apart_from_all_others() -> None:
    counter = CallCounter(limit=10)
    assert [counter.nth(seq) for seq in (5, 6, 5, 5, 6)] == [0, 0, 1, 2, 1]


@given(st.lists(st.integers(0, 30), max_size=200))
def test_the_latest_requests_are_remembered_and_no_more_than_the_limit(seqs: list[int]) -> None:
    counter = CallCounter(limit=8)
    for position, seq in enumerate(seqs):
        nth = counter.nth(seq)
        assert len(counter._seen) <= 8
        if len(set(seqs[:position])) < 8:
            assert nth == seqs[:position].count(seq)
