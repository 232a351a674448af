"""The merged arrivals of several streams: numbered through, each stream as if it were alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rundir.planned.load import PlannedLoad, PlannedRequest, Schedule, Stage
from scenarios.load import PlannedArrivals, arrivals_ns, planned_peak_per_s, request_index
from tests.drive.drive_world import get

ARRIVALS = st.sampled_from(["poisson", "constant"])


def at(rate_per_s: float, for_ms: float = 10_000, arrivals: str = "poisson", start_ms: float = 0.0) -> Schedule:
    stage = Stage(start_per_s=rate_per_s, end_per_s=rate_per_s, duration_ms=for_ms)
    return Schedule.model_validate({"start_ms": start_ms, "arrivals": arrivals, "stages": (stage,)})


def load_of(*requests: PlannedRequest, schedule: Schedule | None = None, **changes: Any) -> PlannedLoad:
    planned: dict[str, Any] = {
        "model": "open",
        "schedule": schedule,
        "requests": requests,
        "warmup_ms": 0.0,
        "duration_ms": 10_000.0,
        "drain_ms": 0.0,
        "client_cap_ms": 1000.0,
        "max_in_flight": 1,
        "ok": ((200, 399),),
        "complete": "none",
    }
    return PlannedLoad(**{**planned, **changes})


def times_of(planned: PlannedArrivals, load: PlannedLoad, name: str) -> list[int]:
    return [planned.at_ns[seq] for seq in range(len(planned)) if load.requests[planned.request_of(seq)].name == name]


READS = (get("/a", name="a", weight=3), get("/b", name="b"))
STORM = get("/login", name="storm", schedule=at(7))
STEADY = get("/steady", name="steady", schedule=at(5, arrivals="constant"))


def test_requests_without_a_rate_of_their_own_are_planned_as_before() -> None:
    load = load_of(*READS, schedule=at(20))
    planned = PlannedArrivals.of(load, 7)
    assert planned.at_ns == arrivals_ns(at(20), 7)
    assert [planned.request_of(seq) for seq in range(50)] == [request_index(7, seq, (3, 1)) for seq in range(50)]
    assert [planned.turn_of(seq) for seq in (0, 1, 49)] == [0, 1, 49]


@given(ARRIVALS, st.integers(0, 2**40))
def test_a_stream_more_changes_no_arrival_of_another(arrivals: str, seed: int) -> None:
    shared, storm = at(20, arrivals=arrivals), get("/x", name="storm", schedule=at(7, arrivals=arrivals))
    alone = load_of(*READS, schedule=shared)
    both = load_of(storm, *READS, schedule=shared)
    three = load_of(*READS, STEADY, storm, schedule=shared)
    before = PlannedArrivals.of(alone, seed)
    for load in (both, three):
        planned = PlannedArrivals.of(load, seed)
        assert list(planned.at_ns) == sorted(planned.at_ns)
        for name in ("a", "b"):
            assert times_of(planned, load, name) == times_of(before, alone, name)
    assert times_of(PlannedArrivals.of(both, seed), both, "storm") == times_of(
        PlannedArrivals.of(three, seed), three, "storm"
    )


@given(st.integers(0, 2**40))
def test_every_arrival_has_one_stream_and_a_number_in_it_that_counts_through(seed: int) -> None:
    load = load_of(STEADY, STORM, *READS, schedule=at(20))
    planned = PlannedArrivals.of(load, seed)
    assert [stream.name for stream in planned.streams] == ["", "steady", "storm"]
    turns: dict[int, list[int]] = {}
    for seq in range(len(planned)):
        turns.setdefault(planned.owner[seq], []).append(planned.turn_of(seq))
    assert all(found == list(range(len(found))) for found in turns.values())


def test_streams_of_one_seed_are_independent_of_one_another() -> None:
    one, two = get("/1", name="one", schedule=at(7)), get("/2", name="two", schedule=at(7))
    load = load_of(one, two)
    planned = PlannedArrivals.of(load, 3)
    assert not set(times_of(planned, load, "one")) & set(times_of(planned, load, "two"))


def test_arrivals_at_the_same_time_are_in_the_order_of_the_streams() -> None:
    both = [get(f"/{name}", name=name, schedule=at(2, 1000, "constant")) for name in ("one", "two")]
    planned = PlannedArrivals.of(load_of(*both), 0)
    assert list(planned.at_ns) == [0, 0, 500_000_000, 500_000_000]
    assert [planned.request_of(seq) for seq in range(4)] == [0, 1, 0, 1]


def test_a_stream_may_end_before_the_others_and_begin_in_the_warm_up() -> None:
    early = get("/e", name="early", schedule=at(10, 2000, "constant", start_ms=-1000))
    load = load_of(*READS, early, schedule=at(10, 11_000, "constant", start_ms=-1000))
    found = times_of(PlannedArrivals.of(load, 0), load, "early")
    assert (found[0], found[-1], len(found)) == (-1_000_000_000, 900_000_000, 20)


def test_a_recording_beside_a_rate() -> None:
    load = load_of(*READS, STEADY, schedule=Schedule(start_ms=0, replay_ms=(5.0, 1.0, 9000.0)))
    planned = PlannedArrivals.of(load, 0)
    assert Counter(planned.owner) == {0: 3, 1: 50}
    assert planned.at_ns[:3].tolist() == [0, 1_000_000, 5_000_000]


def test_many_arrivals_of_several_streams_are_merged_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = get(
        "/twin", name="twin", schedule=at(5, arrivals="constant")
    )  # each of its arrivals has one of STEADY beside
    load = load_of(*READS, STEADY, STORM, twin, schedule=at(20))
    few = PlannedArrivals.of(load, 5)
    monkeypatch.setattr("scenarios.load.planned_arrivals.MANY", 1)
    many = PlannedArrivals.of(load, 5)
    assert (many.at_ns, many.owner, many.turn) == (few.at_ns, few.owner, few.turn)
    seqs = np.arange(len(few))[3::2]
    assert many.requests_of(seqs).tolist() == [few.request_of(int(seq)) for seq in seqs]


def test_the_peak_is_the_sum_of_the_streams_and_that_of_a_request_its_share() -> None:
    load = load_of(STORM, *READS, schedule=at(20))
    assert planned_peak_per_s(load) == 27
    assert [planned_peak_per_s(load, [name]) for name in ("storm", "a", "b", "none")] == [7, 15, 5, 0]


def test_a_closed_model_plans_nothing() -> None:
    load = load_of(*READS, model="closed", users=3)
    assert planned_peak_per_s(load) == 0
    with pytest.raises(ValueError, match="closed model"):
        PlannedArrivals.of(load, 0)


def test_a_locustfile_is_one_stream_whatever_its_requests() -> None:
    load = load_of(*READS, schedule=at(20), locustfile="/x.py")
    planned = PlannedArrivals.of(load, 7)
    assert {planned.request_of(seq) for seq in range(len(planned))} == {0}
    assert (planned_peak_per_s(load), planned_peak_per_s(load, ["b"])) == (20, 20), "each arrival may be any request"
