"""The search against simulated services: where it ends, how many loads it takes, and what it never says."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.search.rate_search import EXPLORED_MOST, Bracket, Outcome, WantedLoad, loads_most, search_rate

Service = Callable[[WantedLoad], Outcome]
OUTCOMES: tuple[Outcome, ...] = ("held", "broke", "undecided", "generator")


def searched(
    service: Service, first_per_s: float = 20, to_per_s: float | None = None, within: float = 0.1
) -> tuple[Bracket, list[WantedLoad]]:
    search = search_rate(first_per_s, to_per_s, within=within, alpha=0.05)
    asked = [next(search)]
    while True:
        assert len(asked) <= loads_most()
        try:
            asked.append(search.send(service(asked[-1])))
        except StopIteration as end:
            return end.value, asked


def carries(capacity_per_s: float) -> Service:
    return lambda load: "held" if load.rate_per_s <= capacity_per_s else "broke"


@given(capacity=st.floats(2, 20_000), first=st.floats(1, 200))
def test_the_bracket_holds_the_truth_and_is_as_narrow_as_asked(capacity: float, first: float) -> None:
    bracket, asked = searched(carries(capacity), first)
    explored = [load for load in asked if load.purpose == "explore"]
    assert len(explored) <= EXPLORED_MOST
    if bracket.ended_by == "bracket":
        assert bracket.certified_per_s is not None and bracket.refuted_per_s is not None
        assert bracket.certified_per_s <= capacity < bracket.refuted_per_s
        if len(explored) < EXPLORED_MOST:
            assert bracket.refuted_per_s / bracket.certified_per_s <= 1.13  # 10 %, and three digits


@pytest.mark.parametrize("capacity", [21, 35, 60, 110, 199])
def test_one_decade_at_ten_percent_takes_nine_explorative_loads_at_most(capacity: float) -> None:
    bracket, asked = searched(carries(capacity))
    assert len([load for load in asked if load.purpose == "explore"]) <= EXPLORED_MOST
    assert bracket.refuted_per_s is not None and bracket.certified_per_s is not None
    assert bracket.refuted_per_s / bracket.certified_per_s <= 1.13


def test_it_begins_at_the_first_rate_and_ends_with_fresh_loads_that_certify() -> None:
    _, asked = searched(carries(100))
    assert asked[0] == WantedLoad("explore", 20)
    assert [load.purpose for load in asked[-2:]] == ["soak", "refute"]
    assert [load.alpha for load in asked[-2:]] == [0.05, 0.05]
    assert all(load.alpha is None for load in asked[:-2])


def test_a_soak_that_fails_gives_way_to_the_next_lower_rate_at_half_the_error() -> None:
    def service(load: WantedLoad) -> Outcome:
        return carries(70 if load.purpose == "soak" else 100)(load)

    bracket, asked = searched(service)
    soaks = [load for load in asked if load.purpose == "soak"]
    assert [load.alpha for load in soaks] == [0.05 / 2**tried for tried in range(len(soaks))]
    assert len(soaks) >= 2
    assert bracket.certified_per_s is None or bracket.certified_per_s <= 70


def test_a_service_that_fails_at_the_first_rate_is_searched_downwards_to_one_a_second() -> None:
    bracket, _ = searched(carries(3))
    assert bracket.certified_per_s is not None and bracket.certified_per_s <= 3 < (bracket.refuted_per_s or 0)
    nothing, asked = searched(carries(0))
    assert (nothing.certified_per_s, nothing.ended_by) == (None, "nothing_holds")
    assert min(load.rate_per_s for load in asked) == 1
    assert nothing.refuted_per_s == 1


def test_it_never_exceeds_the_highest_rate_and_says_at_least() -> None:
    bracket, asked = searched(carries(1_000), to_per_s=150)
    assert max(load.rate_per_s for load in asked) == 150
    assert (bracket.certified_per_s, bracket.ended_by, bracket.at_least) == (150, "to", True)
    assert bracket.refuted_per_s is None


def test_where_the_generator_gives_out_the_answer_is_at_least() -> None:
    def service(load: WantedLoad) -> Outcome:
        return "generator" if load.rate_per_s > 300 else "held"

    bracket, _ = searched(service)
    assert bracket.at_least and bracket.ended_by == "generator"
    assert bracket.certified_per_s is not None and 250 <= bracket.certified_per_s <= 300
    assert bracket.refuted_per_s is None


def test_noise_is_repeated_once_then_left_and_never_certified() -> None:
    bracket, asked = searched(lambda load: "undecided")
    assert (bracket.certified_per_s, bracket.refuted_per_s) == (None, None)
    assert [load.pooled for load in asked[:4]] == [0, 1, 0, 1]
    assert bracket.undecided


def test_a_rate_that_is_refuted_below_a_certified_one_is_a_finding() -> None:
    def service(load: WantedLoad) -> Outcome:
        if load.purpose == "refute":
            return "broke"
        return "broke" if 30 < load.rate_per_s < 40 and load.purpose == "explore" else "held"

    bracket, _ = searched(service)
    assert bracket.not_monotone == (
        bracket.refuted_per_s is not None and bracket.refuted_per_s <= (bracket.certified_per_s or 0)
    )


@given(seed=st.integers(0, 10_000))
def test_whatever_the_service_says_the_search_ends_and_certifies_only_what_held(seed: int) -> None:
    draw = random.Random(seed)
    said: dict[tuple[str, float], list[Outcome]] = {}

    def service(load: WantedLoad) -> Outcome:
        outcome = draw.choice(OUTCOMES)
        said.setdefault((load.purpose, load.rate_per_s), []).append(outcome)
        return outcome

    bracket, _ = searched(service, to_per_s=draw.choice([None, 100.0]))
    if bracket.certified_per_s is not None:
        assert "held" in said["soak", bracket.certified_per_s]
    if bracket.refuted_per_s is not None:
        assert "broke" in said["refute", bracket.refuted_per_s]


def test_a_rate_that_broke_by_chance_is_not_refuted_and_a_higher_one_is() -> None:
    def service(load: WantedLoad) -> Outcome:
        if load.purpose == "explore" and load.rate_per_s > 40:
            return "broke"
        return carries(60)(load)

    bracket, asked = searched(service)
    refuted = [load.rate_per_s for load in asked if load.purpose == "refute"]
    assert refuted == sorted(refuted) and 2 <= len(refuted) <= 3
    assert bracket.certified_per_s is not None and bracket.refuted_per_s is not None
    assert bracket.certified_per_s <= 60 < bracket.refuted_per_s
