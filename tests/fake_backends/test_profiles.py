"""Latency profiles: draws that follow the distribution asked for, rise with the draw, and never leave their bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fake_backends.draws import Draws
from harness.rundir.planned.routes import PlannedProfile
from harness.rundir.planned.upstream import FakeSpec, PlannedUpstream
from harness.upstreams.fake import CatalogFake
from harness.upstreams.profile import KINDS
from harness.upstreams.profiles import PROFILES, Profile, profile_of
from harness.upstreams.profiles.profile import LONGEST_MS
from harness.upstreams.recording import POINTS_MAX, Points, points_of, value_at
from harness.upstreams.upstream_files import UpstreamInputs
from tests.fake_backends.plans import fake, upstream

DRAWS: Final = 10_000
RECORDED: Final = tuple(float(value) for value in np.random.default_rng(5).gamma(2.0, 40.0, 250))

# how a scenario writes each kind, and its quantiles by a theory that is not ours
WRITTEN: Final[dict[str, dict[str, Any]]] = {
    "constant": {"constant": "200ms"},
    "uniform": {"uniform": {"low": "100ms", "high": "300ms"}},
    "normal": {"normal": {"mean": "200ms", "deviation": "90ms"}},
    "lognormal": {"lognormal": {"p50": "60ms", "p99": "140ms"}},
    "pareto": {"pareto": {"least": "50ms", "p99": "2s"}},
    "empirical": {"empirical": "recorded.csv"},
}
THEORY: Final[dict[str, Callable[[float], float]]] = {
    "constant": lambda _share: 200.0,
    "uniform": stats.uniform(100, 200).ppf,
    "normal": lambda share: max(0.0, float(stats.norm(200, 90).ppf(share))),
    "lognormal": stats.lognorm(math.log(140 / 60) / stats.norm.ppf(0.99), scale=60).ppf,
    "pareto": lambda share: min(LONGEST_MS, float(stats.pareto(math.log(100) / math.log(40), scale=50).ppf(share))),
    "empirical": lambda share: float(np.quantile(RECORDED, share)),
}
each_kind = pytest.mark.parametrize("kind", WRITTEN)
UNIFORMS = st.floats(1e-12, 1 - 1e-12)


def planned(kind: str) -> FakeSpec:
    """As a scenario's fake is planned, read back from its plan."""
    written = CatalogFake.model_validate({"profile": WRITTEN[kind]})
    ports = count(9000)
    inputs = UpstreamInputs(points_of(RECORDED) if kind == "empirical" else ())
    made = written.plan("azure", 0, lambda: next(ports), inputs)
    read = PlannedUpstream.model_validate_json(made.model_dump_json()).fake
    assert read is not None
    return read


def profile(kind: str) -> Profile:
    return profile_of(planned(kind))


def of_numbers(kind: str, **numbers_ms: float) -> Profile:
    return profile_of(fake(profile=PlannedProfile(kind=kind, numbers_ms=numbers_ms)))


def test_every_profile_can_be_written_and_is_tested_here() -> None:
    assert tuple(kind for kind, _ in PROFILES) == KINDS == tuple(WRITTEN) == tuple(THEORY)


@each_kind
@given(share=UNIFORMS)
def test_a_latency_is_the_quantile_of_its_draw(kind: str, share: float) -> None:
    assert profile(kind).latency_ms(share) == pytest.approx(THEORY[kind](share), rel=1e-4, abs=1e-3)


@each_kind
def test_many_draws_follow_the_theory(kind: str) -> None:
    """The count below a quantile is binomial; five deviations leave room for six of them."""
    drawn, draws = profile(kind), Draws(3, "latency", "azure")
    latencies = np.array([drawn.latency_ms(draws.uniform(seq, 0)) for seq in range(DRAWS)])
    for share in (0.1, 0.25, 0.5, 0.9, 0.99, 0.999):
        expected = DRAWS * (0 if kind == "constant" else share)
        below = int((latencies < THEORY[kind](share)).sum())
        assert abs(below - expected) <= 5 * math.sqrt(DRAWS * share * (1 - share)), share


@each_kind
@given(shares=st.tuples(UNIFORMS, UNIFORMS))
def test_a_higher_draw_is_never_faster(kind: str, shares: tuple[float, float]) -> None:
    drawn = profile(kind)
    assert drawn.latency_ms(min(shares)) <= drawn.latency_ms(max(shares))


EXTREMES: Final = (
    ("constant", {"constant_ms": 0.0}),
    ("constant", {"constant_ms": LONGEST_MS}),
    ("uniform", {"low_ms": 0.0, "high_ms": LONGEST_MS}),
    ("normal", {"mean_ms": 1.0, "deviation_ms": LONGEST_MS}),
    ("lognormal", {"p50_ms": 1.0, "p99_ms": LONGEST_MS}),
    ("lognormal", {"p50_ms": LONGEST_MS, "p99_ms": LONGEST_MS}),
    ("pareto", {"least_ms": 1.0, "p99_ms": LONGEST_MS}),
    ("pareto", {"least_ms": LONGEST_MS, "p99_ms": LONGEST_MS}),
)


@pytest.mark.parametrize(("kind", "numbers"), EXTREMES)
@pytest.mark.parametrize("share", [1e-12, 0.5, 1 - 1e-12])
def test_no_latency_leaves_zero_to_a_day(kind: str, numbers: dict[str, float], share: float) -> None:
    assert 0 <= of_numbers(kind, **numbers).latency_ms(share) <= LONGEST_MS


@pytest.mark.parametrize("kind", ["uniform", "lognormal", "pareto"])
def test_equal_ends_make_it_constant(kind: str) -> None:
    names = {"uniform": ("low_ms", "high_ms"), "lognormal": ("p50_ms", "p99_ms"), "pareto": ("least_ms", "p99_ms")}
    drawn = of_numbers(kind, **dict.fromkeys(names[kind], 80.0))
    assert [drawn.latency_ms(share) for share in (1e-12, 0.3, 1 - 1e-12)] == pytest.approx([80.0] * 3)


def test_a_normal_is_cut_at_zero_and_stays_what_it_is_above() -> None:
    drawn = of_numbers("normal", mean_ms=40.0, deviation_ms=40.0)
    assert drawn.latency_ms(0.158) == 0
    assert drawn.latency_ms(0.16) > 0
    assert drawn.latency_ms(0.5) == 40


@pytest.mark.parametrize(
    ("kind", "numbers", "message"),
    [
        ("constant", {"constant_ms": -1.0}, "zero or more"),
        ("constant", {"constant_ms": math.nan}, "zero or more"),
        ("constant", {"constant_ms": math.inf}, "at most a day"),
        ("uniform", {"low_ms": 3.0, "high_ms": 2.0}, "low must be"),
        ("uniform", {"low_ms": -3.0, "high_ms": 2.0}, "low must be"),
        ("normal", {"mean_ms": 0.0, "deviation_ms": 2.0}, "the mean must be"),
        ("normal", {"mean_ms": 1.0, "deviation_ms": -2.0}, "the deviation not below it"),
        ("lognormal", {"p50_ms": 0.0, "p99_ms": 2.0}, "p50 must be"),
        ("lognormal", {"p50_ms": 1.0, "p99_ms": math.inf}, "p99 at most a day"),
        ("pareto", {"least_ms": 0.0, "p99_ms": 2.0}, "least must be"),
        ("pareto", {"least_ms": 3.0, "p99_ms": 2.0}, "least must be"),
        ("empirical", {}, "is not set by nothing"),
        ("pareto", {"p50_ms": 3.0}, "is not set by p50_ms"),
        ("weibull", {}, "no profile is called `weibull`; known: constant, uniform, normal"),
    ],
)
def test_an_impossible_profile_is_refused(kind: str, numbers: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of_numbers(kind, **numbers)


@pytest.mark.parametrize(
    "points", [((0.0, -1.0), (1.0, 2.0)), ((0.0, 3.0), (1.0, 2.0)), ((0.5, 1.0), (0.5, 2.0)), ((0.0, LONGEST_MS * 2),)]
)
def test_points_that_are_no_distribution_are_refused(points: Points) -> None:
    with pytest.raises(ValueError, match="a recording"):
        profile_of(fake(profile=PlannedProfile(kind="empirical", points=points)))


# ---------------------------------------------------------------- what a plan says of it


@each_kind
def test_the_percentiles_in_a_plan_are_those_of_the_profile(kind: str) -> None:
    made = planned(kind)
    drawn = profile_of(made)
    assert made.p50_ms == pytest.approx(drawn.latency_ms(0.5))
    assert made.p99_ms == pytest.approx(drawn.latency_ms(0.99))


def test_p50_and_p99_are_short_for_a_lognormal() -> None:
    short = profile_of(fake(p50_ms=60.0, p99_ms=140.0))
    assert short == profile("lognormal")


def test_a_plan_of_before_there_were_profiles_is_still_read() -> None:
    new = upstream()
    old = {
        "name": "azure", "index": 0, "kind": "fake", "listen_host": "127.0.0.1", "listen_port": new.listener.port,
        "backend_host": "127.0.0.1", "backend_port": new.origin.port, "p50_ms": 60.0, "p99_ms": 140.0, "rows": 40,
        "page": 0, "provider": "generic",
    }  # fmt: skip
    assert PlannedUpstream.model_validate(old) == new


# ---------------------------------------------------------------- recordings

LATENCIES = st.floats(0, LONGEST_MS, allow_subnormal=False)


@given(st.lists(LATENCIES, min_size=1, max_size=POINTS_MAX))
def test_a_short_recording_is_kept_whole(recorded: list[float]) -> None:
    points = points_of(recorded)
    assert [value for _, value in points] == pytest.approx(sorted(recorded), abs=1e-4)


@given(st.integers(POINTS_MAX + 1, 4000), st.integers(0, 2**32))
def test_a_long_recording_comes_to_few_points_between_its_ends(n: int, seed: int) -> None:
    recorded = np.random.default_rng(seed).lognormal(4, 1, n).tolist()
    points = points_of(recorded)
    assert 2 <= len(points) <= POINTS_MAX
    assert (points[0][0], points[-1][0]) == (0, 1)
    assert (points[0][1], points[-1][1]) == pytest.approx((min(recorded), max(recorded)), abs=1e-4)
    profile_of(fake(profile=PlannedProfile(kind="empirical", points=points)))


def test_a_long_recording_keeps_its_tail() -> None:
    """A million, with one outlier of a minute: p99.9 and p99.99 stay what they were, and the outlier stays rare."""
    recorded = np.random.default_rng(1).lognormal(5, 0.6, 1_000_000)
    recorded[7] = 60_000.0
    points = points_of(recorded.tolist())
    assert len(points) <= POINTS_MAX
    for share in (0.01, 0.5, 0.9, 0.99, 0.999, 0.9999):
        assert value_at(points, share) == pytest.approx(np.quantile(recorded, share), rel=0.01)
    shares = np.linspace(0, 1, 200_001)
    mean_ms = np.mean([value_at(points, share) for share in shares])
    assert mean_ms == pytest.approx(recorded.mean(), rel=0.01)


def test_a_recording_of_one_latency_is_constant() -> None:
    assert [value_at(points_of([12.5]), share) for share in (1e-12, 0.5, 1 - 1e-12)] == [12.5] * 3


def test_a_recording_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="without a latency"):
        points_of([])
