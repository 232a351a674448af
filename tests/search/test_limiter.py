"""A limiter is named only by its witness: each one alone is found, and without any nothing is said."""

from __future__ import annotations

from typing import Any

import pytest

from harness.search.limiter import limiter_of
from tests.search.steps import step, upstream


def stopped_by(*, first: dict[str, Any], held: dict[str, Any], broke: dict[str, Any], most: dict[str, Any]) -> str:
    """The kind, of a search that held at 10 and 30/s, and broke at 40 and 60/s."""
    steps = [step(10, **first), step(30, **held), step(40, "broke", **broke), step(60, "broke", **most)]
    return limiter_of(steps, cores=2, capacities={"azure": 8}).kind


def same(**figures: Any) -> dict[str, dict[str, Any]]:
    return {"first": figures, "held": figures, "broke": figures, "most": figures}


def test_without_a_witness_it_is_not_known() -> None:
    assert stopped_by(**same()) == "not_known"
    assert limiter_of([step(10), step(30)], cores=2, capacities={}).witness == "nothing broke, so nothing stopped it"


def test_all_cores() -> None:
    assert stopped_by(**{**same(), "broke": {"cpu_cores": 1.9}}) == "cpu"
    assert stopped_by(**{**same(), "broke": {"cpu_cores": 1.7}}) == "not_known"


def test_one_thread_of_two_cores() -> None:
    found = limiter_of([step(10), step(40, "broke", cpu_cores=1.0, busiest_thread=0.97)], cores=2, capacities={})
    assert found.kind == "one_thread"
    assert "busy for 97 % of the time at 40/s" in found.witness
    assert found.figures == {"busiest_thread": 0.97, "busiest_waited": 0.0}


@pytest.mark.parametrize(("waited", "kind"), [(0.1, "one_thread"), (0.02, "not_known")])
def test_a_thread_that_never_idled_is_the_limit_on_a_machine_that_had_no_core_for_it(waited: float, kind: str) -> None:
    broke = {"busiest_thread": 0.84, "busiest_waited": 0.08}
    most = {"busiest_thread": 0.888, "busiest_waited": waited}
    steps = [step(10), step(40, "broke", **broke), step(60, "broke", **most)]
    found = limiter_of(steps, cores=2, capacities={})
    assert found.kind == kind
    if kind == "one_thread":
        assert "busy for 89 % of the time, and without a core for 10 %, at 60/s, busy for 84 % at 40/s" in found.witness


def test_a_queue_fails_before_its_processor_is_busy_all_the_time() -> None:
    """As recorded of a service that computes 10 ms a request in one thread; Python starts a second one meanwhile."""

    def has(threads: int, in_flight: float, busy: float) -> dict[str, Any]:
        return {"threads_most": threads, "in_flight_mean": in_flight, "busiest_thread": busy, "cpu_cores": busy}

    loads = {"first": has(1, 0.6, 0.43), "held": has(2, 1.6, 0.73)}
    assert stopped_by(**loads, broke=has(2, 3.5, 0.85), most=has(2, 148, 0.998)) == "one_thread"
    assert stopped_by(**loads, broke=has(2, 3.5, 0.4), most=has(2, 148, 0.998)) == "not_known"
    assert stopped_by(**loads, broke=has(2, 3.5, 0.85), most=has(2, 148, 0.89)) == "not_known"
    cores = [step(10), step(40, "broke", cpu_cores=1.4), step(60, "broke", cpu_cores=1.95)]
    found = limiter_of(cores, cores=2, capacities={})
    assert (found.kind, found.witness) == (
        "cpu",
        "processor: the service used 1.95 of 2 cores at 60/s, and 1.40 at 40/s",
    )


def test_a_fake_that_is_full() -> None:
    full = {"upstreams": (upstream(in_flight_most=20, in_flight_mean=12.5),)}
    assert stopped_by(**{**same(), "broke": full}) == "upstream_capacity"
    for_a_moment = {"upstreams": (upstream(in_flight_most=8, in_flight_mean=3.0),)}
    assert stopped_by(**{**same(), "broke": for_a_moment}) == "not_known"


def test_an_upstream_that_became_slower() -> None:
    fast, slow = {"upstreams": (upstream(p50_ms=50.0),)}, {"upstreams": (upstream(p50_ms=90.0),)}
    assert stopped_by(first=fast, held=fast, broke=slow, most=slow) == "upstream_slower"
    assert stopped_by(**same(**fast)) == "not_known"


def test_an_upstream_whose_growth_explains_little_is_not_named() -> None:
    """Its millisecond is no reason for the two seconds of the requests."""
    fast, slow = {"upstreams": (upstream(p50_ms=1.0),)}, {"upstreams": (upstream(p50_ms=2.1),), "in_flight_mean": 80.0}
    assert stopped_by(first=fast, held=fast, broke=slow, most=slow) == "not_known"


def test_a_number_of_threads_that_fell_did_not_stand_still() -> None:
    def has(threads: int, in_flight: float) -> dict[str, Any]:
        return {"threads_most": threads, "in_flight_mean": in_flight}

    loads = {"first": has(10, 5), "held": has(100, 60)}
    assert stopped_by(**loads, broke=has(256, 300), most=has(250, 900)) == "threads"
    assert stopped_by(**loads, broke=has(300, 300), most=has(150, 900)) == "not_known"


FULL: dict[str, Any] = {"open_most": 5, "open_mean": 4.9, "open_limit": 5, "refill_ratio": 0.1}
"""A pool of five connections, each of which takes another call as soon as one has ended."""


@pytest.mark.parametrize(
    ("figures", "found"),
    [
        ({}, "upstream_calls"),
        ({"connections_most": 5}, "upstream_calls"),
        ({"connections_most": 1}, "upstream_calls"),
        ({"connections_most": 8}, "not_known"),
        ({"open_mean": 1.0}, "not_known"),
        ({"refill_ratio": 0.4}, "not_known"),
        ({"open_mean": 4.7}, "not_known"),
        ({"refill_ratio": None}, "not_known"),
        ({"open_limit": None}, "not_known"),
    ],
)
def test_calls_that_stay_at_one_number_while_requests_pile_up(figures: dict[str, Any], found: str) -> None:
    pool = {"upstreams": (upstream(**{**FULL, **figures}),)}
    piled = {"in_flight_mean": 80.0, **pool}
    assert stopped_by(first=pool, held=pool, broke=pool, most=piled) == found


def test_calls_of_which_more_were_open_in_the_steeper_load_are_not_limited() -> None:
    pool, more = {"upstreams": (upstream(**FULL),)}, {"upstreams": (upstream(**{**FULL, "open_limit": 6}),)}
    assert stopped_by(first=pool, held=pool, broke=pool, most={"in_flight_mean": 80.0, **more}) == "not_known"


@pytest.mark.parametrize("what", ["threads", "sockets"])
def test_a_count_that_grew_and_then_stood_still(what: str) -> None:
    def has(count: int, in_flight: float) -> dict[str, Any]:
        return {f"{what}_most": count, "in_flight_mean": in_flight}

    assert stopped_by(first=has(10, 2), held=has(40, 20), broke=has(64, 40), most=has(64, 300)) == what
    growing = stopped_by(first=has(10, 2), held=has(40, 20), broke=has(64, 40), most=has(300, 300))
    assert growing == "not_known"


def test_threads_count_by_what_came_to_them_however_many_the_first_load_had_started() -> None:
    def has(count: int, in_flight: float) -> dict[str, Any]:
        return {"threads_most": count, "in_flight_mean": in_flight}

    pool = {"broke": has(33, 40), "most": has(33, 90)}
    assert stopped_by(first=has(24, 12), held=has(33, 25), **pool) == "threads"
    assert stopped_by(first=has(27, 2), held=has(33, 25), **pool) == "not_known"


def test_a_thread_more_is_no_pool_that_carries_the_requests() -> None:
    def has(count: int, in_flight: float) -> dict[str, Any]:
        return {"threads_most": count, "in_flight_mean": in_flight}

    assert stopped_by(first=has(1, 1), held=has(1, 4), broke=has(2, 40), most=has(2, 300)) == "not_known"


def test_threads_are_named_before_the_calls_that_they_make() -> None:
    def has(count: int, in_flight: float) -> dict[str, Any]:
        calls = upstream("gcp", open_limit=count - 4, open_mean=count - 4.1, refill_ratio=0.1)
        return {"threads_most": count, "in_flight_mean": in_flight, "upstreams": (calls,)}

    found = {"first": has(10, 2), "held": has(40, 20), "broke": has(64, 40), "most": has(64, 300)}
    assert stopped_by(**found) == "threads"
    without = {name: {**figures, "threads_most": 64} for name, figures in found.items()}
    assert stopped_by(**without) == "upstream_calls"


def test_connections_that_were_refused() -> None:
    full = {"refused": 30, "n": 480}
    assert stopped_by(**{**same(), "broke": full}) == "gateway_refusals"
    found = limiter_of([step(10), step(40, "broke", **full)], cores=2, capacities={})
    assert found.witness.startswith("refused connections: 30 of 480 requests found no connection")
    assert found.figures == {"refused": 30}
    for too_few in ({"refused": 4, "n": 480}, {"refused": None, "n": 480}, {"refused": 0, "n": 0}):
        assert stopped_by(**{**same(), "broke": too_few}) == "not_known"


def test_a_queue_of_connections_that_fills_since_the_processor_is_full_is_not_what_stops_it() -> None:
    assert stopped_by(**{**same(), "broke": {"refused": 200, "cpu_cores": 1.95}}) == "cpu"


def test_sockets_that_are_those_of_the_requests_themselves_stop_nothing() -> None:
    """A service without a limit of sockets, whose queue of requests was as long in a long load as in a steeper one."""

    def has(count: int, in_flight: float) -> dict[str, Any]:
        return {"sockets_most": count, "in_flight_mean": in_flight}

    collapsed = {"first": has(8, 4), "held": has(20, 10), "broke": has(420, 180), "most": has(425, 260)}
    assert stopped_by(**collapsed) == "not_known"


def test_figures_that_are_unknown_name_nothing() -> None:
    unknown = {"cpu_cores": None, "busiest_thread": None, "threads_most": None, "sockets_most": None}
    assert stopped_by(**same(**unknown)) == "not_known"
