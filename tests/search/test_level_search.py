"""The search against simulated services: where it ends, how many loads it takes, and what it never says."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.search.level_search import (
    EXPLORED_MOST,
    FAR_MOST,
    Bracket,
    LevelScale,
    Outcome,
    WantedLoad,
    loads_most,
    search_levels,
)

Service = Callable[[WantedLoad], Outcome]
OUTCOMES: tuple[Outcome, ...] = ("held", "broke", "undecided", "generator")


def searched(
    service: Service, first_per_s: float = 20, to_per_s: float | None = None, within: float = 0.1
) -> tuple[Bracket, list[WantedLoad]]:
    search = search_levels(LevelScale.of_rates(first_per_s, to_per_s), within=within, alpha=0.05)
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
    is_far = not first / 10 < capacity < 10 * first
    most = EXPLORED_MOST + FAR_MOST * is_far
    assert len(explored) <= most + 1, "the load that is a decade away may be the last that broke"
    if bracket.ended_by == "bracket":
        assert bracket.certified is not None and bracket.refuted is not None
        assert bracket.certified <= capacity < bracket.refuted
        if len(explored) < EXPLORED_MOST or (is_far and len(explored) < most):
            assert bracket.refuted / bracket.certified <= 1.13  # 10 %, and three digits


@pytest.mark.parametrize("capacity", [21, 35, 60, 110, 199])
def test_one_decade_at_ten_percent_takes_nine_explorative_loads_at_most(capacity: float) -> None:
    bracket, asked = searched(carries(capacity))
    assert len([load for load in asked if load.purpose == "explore"]) <= EXPLORED_MOST
    assert bracket.refuted is not None and bracket.certified is not None
    assert bracket.refuted / bracket.certified <= 1.13


@pytest.mark.parametrize("capacity", [230, 700, 2_450, 3_900])
def test_two_decades_away_it_is_as_narrow_as_asked_with_some_loads_more(capacity: float) -> None:
    bracket, asked = searched(carries(capacity), first_per_s=40, within=0.2)
    assert len([load for load in asked if load.purpose == "explore"]) <= EXPLORED_MOST + FAR_MOST
    assert bracket.refuted is not None and bracket.certified is not None
    assert bracket.refuted / bracket.certified <= 1.22


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
    assert bracket.certified is None or bracket.certified <= 70


def test_a_service_that_fails_at_the_first_rate_is_searched_downwards_to_one_a_second() -> None:
    bracket, _ = searched(carries(3))
    assert bracket.certified is not None and bracket.certified <= 3 < (bracket.refuted or 0)
    nothing, asked = searched(carries(0))
    assert (nothing.certified, nothing.ended_by) == (None, "nothing_holds")
    assert min(load.rate_per_s for load in asked) == 1
    assert nothing.refuted == 1


def test_it_never_exceeds_the_highest_rate_and_says_at_least() -> None:
    bracket, asked = searched(carries(1_000), to_per_s=150)
    assert max(load.rate_per_s for load in asked) == 150
    assert (bracket.certified, bracket.ended_by, bracket.at_least) == (150, "to", True)
    assert bracket.refuted is None


def test_where_the_generator_gives_out_the_answer_is_at_least() -> None:
    def service(load: WantedLoad) -> Outcome:
        return "generator" if load.rate_per_s > 300 else "held"

    bracket, _ = searched(service)
    assert bracket.at_least and bracket.ended_by == "generator"
    assert bracket.certified is not None and 250 <= bracket.certified <= 300
    assert bracket.refuted is None


def test_noise_is_repeated_once_then_left_and_never_certified() -> None:
    bracket, asked = searched(lambda load: "undecided")
    assert (bracket.certified, bracket.refuted) == (None, None)
    assert [load.pooled for load in asked[:4]] == [0, 1, 0, 1]
    assert bracket.undecided


def test_a_rate_that_is_refuted_below_a_certified_one_is_a_finding() -> None:
    def service(load: WantedLoad) -> Outcome:
        if load.purpose == "refute":
            return "broke"
        return "broke" if 30 < load.rate_per_s < 40 and load.purpose == "explore" else "held"

    bracket, _ = searched(service)
    assert bracket.not_monotone == (bracket.refuted is not None and bracket.refuted <= (bracket.certified or 0))


def test_a_load_in_which_the_machine_gave_out_is_run_once_more() -> None:
    disturbed: set[tuple[str, float]] = set()

    def service(load: WantedLoad) -> Outcome:
        if (load.purpose, load.level) not in disturbed:
            disturbed.add((load.purpose, load.level))
            return "generator"
        return carries(100)(load)

    bracket, asked = searched(service)
    quiet, once = searched(carries(100))
    assert (bracket.certified, bracket.refuted) == (quiet.certified, quiet.refuted)
    assert asked == [load for load in once for _ in range(2)]


@pytest.mark.parametrize("first", [20, 1_000, 50_000])
def test_the_floor_is_reached_from_wherever_a_search_begins(first: float) -> None:
    bracket, asked = searched(carries(0), first)
    assert (bracket.ended_by, bracket.refuted) == ("nothing_holds", 1)
    assert len([load for load in asked if load.purpose == "explore"]) <= EXPLORED_MOST


@given(seed=st.integers(0, 10_000))
def test_whatever_the_service_says_the_search_ends_and_certifies_only_what_held(seed: int) -> None:
    draw = random.Random(seed)
    said: dict[tuple[str, float], list[Outcome]] = {}

    def service(load: WantedLoad) -> Outcome:
        outcome = draw.choice(OUTCOMES)
        said.setdefault((load.purpose, load.rate_per_s), []).append(outcome)
        return outcome

    bracket, _ = searched(service, to_per_s=draw.choice([None, 100.0]))
    if bracket.certified is not None:
        assert "held" in said["soak", bracket.certified]
    if bracket.refuted is not None:
        assert "broke" in said["refute", bracket.refuted]


def test_where_every_rate_that_broke_is_too_near_the_limit_higher_ones_are_refuted() -> None:
    """Just above what it carries a certificate is too short to show that the gate fails."""

    def service(load: WantedLoad) -> Outcome:
        if load.purpose == "refute":
            return "broke" if load.rate_per_s >= 118 else "undecided"
        return carries(100)(load)

    bracket, asked = searched(service, first_per_s=60)
    assert bracket.explored_broke == (108,)
    refutes = [(load.rate_per_s, load.alpha) for load in asked if load.purpose == "refute"]
    assert refutes == [(108, 0.05), (119, 0.025)]
    assert (bracket.refuted, bracket.ended_by) == (119, "bracket")


def test_where_every_explorative_load_held_and_a_soak_broke_the_answer_is_no_lower_bound() -> None:
    """As of a service whose queue of connections a load of twelve seconds does not fill."""

    def service(load: WantedLoad) -> Outcome:
        return carries({"explore": 10_000, "soak": 8_000, "refute": 9_000}[load.purpose])(load)

    bracket, _ = searched(service, first_per_s=40)
    assert bracket.certified is not None and bracket.certified <= 8_000 and bracket.refuted is not None
    assert (bracket.ended_by, bracket.at_least) == ("bracket", False)


def test_no_rate_beyond_the_highest_is_refuted() -> None:
    def service(load: WantedLoad) -> Outcome:
        return "undecided" if load.purpose == "refute" else carries(100)(load)

    bracket, asked = searched(service, first_per_s=60, to_per_s=110)
    assert [load.rate_per_s for load in asked if load.purpose == "refute"] == [108]
    assert (bracket.refuted, bracket.ended_by) == (None, "undecided")


def test_a_rate_that_broke_by_chance_is_not_refuted_and_a_higher_one_is() -> None:
    def service(load: WantedLoad) -> Outcome:
        if load.purpose == "explore" and load.rate_per_s > 40:
            return "broke"
        return carries(60)(load)

    bracket, asked = searched(service)
    refuted = [load.rate_per_s for load in asked if load.purpose == "refute"]
    assert refuted == sorted(refuted) and 2 <= len(refuted) <= 3
    assert bracket.certified is not None and bracket.refuted is not None
    assert bracket.certified <= 60 < bracket.refuted


SHARES = LevelScale(first=0.01, least=0.001, most=1.0, ascent=3.0)


def searched_on(scale: LevelScale, service: Service, within: float = 0.1) -> tuple[Bracket, list[WantedLoad]]:
    search = search_levels(scale, within=within, alpha=0.05)
    asked = [next(search)]
    while True:
        try:
            asked.append(search.send(service(asked[-1])))
        except StopIteration as end:
            return end.value, asked


@given(limit=st.floats(0.0005, 1.2), within=st.sampled_from([0.1, 0.25, 1.0]))
def test_on_any_scale_no_level_lies_beyond_its_ends(limit: float, within: float) -> None:
    bracket, asked = searched_on(SHARES, lambda load: "held" if load.level <= limit else "broke", within)
    assert all(SHARES.least <= load.level <= 1.0 for load in asked)
    if limit >= 1.0:
        assert (bracket.certified, bracket.refuted, bracket.at_least) == (1.0, None, True)
    elif limit < SHARES.least:
        assert (bracket.certified, bracket.refuted, bracket.ended_by) == (None, SHARES.least, "nothing_holds")
    else:
        assert bracket.certified is not None and bracket.refuted is not None
        assert bracket.certified <= limit < bracket.refuted <= bracket.certified * (1 + within) * 1.02


def test_what_is_undecided_at_the_least_level_is_not_said_to_hold_nothing() -> None:
    assert searched(lambda load: "undecided")[0].ended_by == "undecided"
    assert searched(lambda load: "generator")[0].ended_by == "generator"


def test_loads_that_are_used_up_above_the_least_level_say_nothing_of_it() -> None:
    bracket, asked = searched(carries(0), first_per_s=1e40)
    assert bracket.ended_by == "undecided" and min(load.level for load in asked) > 1


def ending(
    explore: dict[float, Outcome],
    soak: dict[float, Outcome],
    refute: dict[float, Outcome],
    most: float | None = None,
    scale: LevelScale | None = None,
) -> Bracket:
    """The search, from 20/s if no `scale` is given, whose loads end so by purpose and level; all others hold."""
    given = {"explore": explore, "soak": soak, "refute": refute}
    search = search_levels(scale or LevelScale.of_rates(20, most), within=0.1, alpha=0.05)
    load = next(search)
    while True:
        try:
            load = search.send(given[load.purpose].get(load.level, "held"))
        except StopIteration as stop:
            bracket: Bracket = stop.value
            return bracket


@pytest.mark.parametrize(
    ("soak", "refute", "ended_by", "certified"),
    [
        ({}, {}, "to", 100),
        ({100: "broke"}, {100: "undecided"}, "undecided", 64.8),
        ({100: "broke"}, {100: "broke"}, "bracket", 64.8),
        ({100: "undecided"}, {}, "undecided", 64.8),
        ({100: "generator"}, {}, "generator", 64.8),
        ({100: "generator", 64.8: "undecided"}, {}, "undecided", 36),
        ({100: "generator", 64.8: "broke"}, {}, "undecided", 36),
    ],
)
def test_at_least_needs_the_highest_rate_certified(
    soak: dict[float, Outcome], refute: dict[float, Outcome], ended_by: str, certified: float
) -> None:
    found = ending({}, soak, refute, most=100)
    assert (found.ended_by, found.certified) == (ended_by, certified)
    assert found.at_least == (ended_by in ("to", "generator"))


def test_a_level_at_which_nothing_is_known_is_no_end_where_levels_ask_nothing_of_the_generator() -> None:
    found = ending({}, {60_000: "generator"}, {}, scale=LevelScale(first=500, least=25, most=60_000, ascent=3))
    assert (found.ended_by, found.at_least) == ("undecided", False)


def test_explorative_loads_alone_do_not_show_that_nothing_holds() -> None:
    broken: dict[float, Outcome] = {20: "broke", 11.1: "broke", 3.43: "broke", 1: "broke"}
    assert ending(broken, {}, {}).ended_by == "undecided"
    shown = ending(broken, {}, {1: "broke"})
    assert (shown.ended_by, shown.refuted) == ("nothing_holds", 1)
    above = ending(broken, {}, {20: "broke"})
    assert (above.ended_by, above.refuted) == ("undecided", 20), "at 1/s the load that was to fail held"
