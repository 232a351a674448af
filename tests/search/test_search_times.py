"""How long a search is said to take: at most what it can take, and usually what it does."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.search.capacity import Settings
from harness.search.level_search import REFUTED_MOST, Outcome, WantedLoad, search_levels
from harness.search.search_times import BESIDE_LOAD_MS, SearchTimes, times_text
from tests.search.frontier.test_level_loads import loads_of

DRAIN_MS = 11_000.0


def of_rates(first_per_s: float = 40, within: float = 0.1, to_per_s: float | None = None) -> SearchTimes:
    asked = Settings(first_per_s, to_per_s, within=within, refute_ms=60_000, soak_ms=120_000, alpha=0.05)
    return asked.times(DRAIN_MS)


def took_ms(times: SearchTimes, loads: Sequence[tuple[WantedLoad, Outcome]], *, has_held: bool = False) -> float:
    """What these loads take if the requests of each are open for the whole drain."""
    total_ms = 0.0
    for load, outcome in loads:
        total_ms += times.sent_ms(load) + times.drain_ms + BESIDE_LOAD_MS
        has_held = has_held or outcome == "held"
        if outcome in times.returns_after and (has_held or times.returns_at_once):
            total_ms += times.return_ms + times.drain_ms + BESIDE_LOAD_MS
    return total_ms


def searched(times: SearchTimes, answer: Callable[[WantedLoad], Outcome]) -> list[tuple[WantedLoad, Outcome]]:
    search = search_levels(times.scale, within=times.within, alpha=times.alpha)
    wanted, loads = next(search), list[tuple[WantedLoad, Outcome]]()
    while True:
        loads.append((wanted, answer(wanted)))
        try:
            wanted = search.send(loads[-1][1])
        except StopIteration:
            return loads


def along(path: Sequence[Outcome]) -> Callable[[WantedLoad], Outcome]:
    """These answers, and then loads that hold."""
    answers = iter(path)
    return lambda _load: next(answers, "held")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), breaks=st.floats(0, 1), kind=st.sampled_from(["rates", "latency", "outage"]))
def test_no_search_whose_loads_hold_or_break_takes_longer_from_any_load_on(
    tmp_path: Path, seed: int, breaks: float, kind: str
) -> None:
    times = of_rates() if kind == "rates" else loads_of(tmp_path, kind).times  # type: ignore[arg-type]
    drawn = random.Random(seed)

    def answers_of(load: WantedLoad) -> Outcome:
        if load.purpose != "explore" and drawn.random() < 0.3:
            return "undecided"
        return "broke" if drawn.random() < breaks else "held"

    loads = searched(times, answers_of)
    beside_ms = times.health_ms and times.health_ms + times.drain_ms + BESIDE_LOAD_MS
    assert took_ms(times, loads) + beside_ms <= times.longest_ms() + 0.1
    answers = [outcome for _, outcome in loads]
    done = drawn.randrange(1, len(loads))
    left_ms = took_ms(times, loads[done:], has_held="held" in answers[:done])
    assert left_ms <= times.longest_ms(answers[:done]) + 0.1
    assert times.longest_ms(answers) == 0.0


@pytest.mark.parametrize("to_per_s", [None, 100.0])
def test_the_longest_search_is_one_that_there_can_be(to_per_s: float | None) -> None:
    """Every way in which loads can hold or break is gone."""
    times = of_rates(within=1.0, to_per_s=to_per_s)
    longest_ms, path = 0.0, list[Outcome]()
    while True:
        loads = searched(times, along(path))
        longest_ms = max(longest_ms, took_ms(times, loads))
        path = [outcome for _, outcome in loads]
        while path and path[-1] == "broke":
            path.pop()
        if not path:
            break
        path[-1] = "broke"
    assert times.longest_ms() == pytest.approx(longest_ms)


def test_what_is_usual_is_near_what_was_measured_and_below_the_most() -> None:
    """`make capacity`, from 40/s on: health carried 271/s and a curve with a fault 130/s. One repetition of a load, a
    soak that broke and a refutation that passed are in it."""
    measured_s = 297.0 + 385.0
    asked = Settings(40, None, within=0.2, refute_ms=30_000, soak_ms=60_000, alpha=0.05)
    times = asked.times(8_000.0)
    assert 0.8 * measured_s < 2 * times.usual_ms() / 1000 < 1.1 * measured_s
    assert measured_s < 2 * times.longest_ms() / 1000 < 2.6 * measured_s
    assert times.usual_ms() == asked.times(8_000.0).usual_ms(), "chance is the same each time"


def test_what_is_usual_grows_with_what_is_asked_for() -> None:
    assert of_rates(within=1.0).usual_ms() < of_rates().usual_ms() < of_rates(within=0.02).usual_ms()


def test_a_queue_that_a_load_leaves_is_served_at_the_limit() -> None:
    times, load = of_rates(), WantedLoad("explore", 110)
    assert times.open_ms(load, 100) == pytest.approx(1_700), "a tenth of 17 s of arrivals"
    assert times.open_ms(load, 120) == 0


def test_where_no_load_has_held_nothing_is_tried_again_after_a_break() -> None:
    times = of_rates(1)
    only_ms = times.sent_ms(WantedLoad("explore", 1)) + DRAIN_MS + BESIDE_LOAD_MS
    refuted_ms = times.sent_ms(WantedLoad("refute", 1)) + DRAIN_MS + BESIDE_LOAD_MS
    assert took_ms(times, searched(times, along(["broke", "broke"]))) == only_ms + refuted_ms
    assert times.longest_ms(["broke"]) == REFUTED_MOST * refuted_ms


def test_it_is_said_in_one_way() -> None:
    assert times_text(735_000, 2_000_000) == "usually about 12m 15s, at most 33m 20s"
