"""Requests with a rate of their own are judged by themselves: by their own rows, their own time and their own rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import verdict
from harness.gates.parse import parse_gate
from harness.gates.throughput_limits import planned_rate
from harness.rundir.finding_kind import FindingKind
from harness.rundir.plan import Plan
from harness.rundir.planned.load import PlannedRequest, Schedule, Stage
from harness.rundir.results import Results
from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS
from harness.verdict.explanations import context_of
from scenarios.load import active_intervals
from tests.rundir.recording import T0_NS, Recording, make_plan, record

WHOLE_MS = 110_000
UPSTREAMS = ("azure", "gcp", "aws")


def steps(*stages: tuple[float, float]) -> Schedule:
    """A schedule from pairs of rate (1/s) and length (ms); the warm-up of 2 s has the first rate."""
    first = (stages[0][0], stages[0][1] + 2_000)
    made = (Stage(start_per_s=rate, end_per_s=rate, duration_ms=ms) for rate, ms in (first, *stages[1:]))
    return Schedule(start_ms=-2_000, stages=tuple(made))


def two_streams(*gates: str, storm_ms: float = 60_000) -> Plan:
    """Reads at 40/s all the time; sign-ins at 20/s from 10 s on, for `storm_ms`."""
    plan = make_plan(
        gates=gates,
        requests=[
            PlannedRequest(name="reads", method="GET", path="/", asks=UPSTREAMS, schedule=steps((40, WHOLE_MS))),
            PlannedRequest(
                name="sign-in", method="POST", path="/s", asks=(), schedule=steps((0, 10_000), (20, storm_ms))
            ),
        ],
    )
    return plan.model_copy(update={"load": plan.load.model_copy(update={"schedule": None})})


def slow(recording: Recording, request: int, *, every: int = 1) -> Recording:
    rows = recording.samples
    which = np.flatnonzero((rows["request"] == request) & (rows["seq"] % every == 0) & (rows["intended_ns"] >= T0_NS))
    rows["done_ns"][which] = rows["intended_ns"][which] + 1_500 * NS_PER_MS
    return recording


def judged(recording: Recording, run_dir: Path) -> Results:
    return verdict.write(recording.write(run_dir))


def verdicts(results: Results) -> list[str]:
    return [gate.verdict for gate in results.gates if gate.id != "service-alive"]


def test_a_stream_that_is_slow_fails_its_own_gate_alone(tmp_path: Path) -> None:
    plan = two_streams("p99 for reads < 1s", "p99 for sign-in < 1s", "p99 < 1s")
    results = judged(slow(record(plan), 1), tmp_path)
    assert verdicts(results) == ["pass", "fail", "fail"]
    assert results.run.load.rate_per_s == 60
    rows = record(plan).samples
    own = [np.count_nonzero((rows["request"] == place) & (rows["intended_ns"] >= T0_NS)) for place in (0, 1)]
    assert [gate.n for gate in results.gates[:3]] == [*own, sum(own)]


@pytest.mark.parametrize(("storm_ms", "found"), [(60_000, "pass"), (20_000, "inconclusive")])
def test_time_in_which_a_stream_sends_nothing_proves_nothing_of_it(storm_ms: float, found: str, tmp_path: Path) -> None:
    """20 s hold 200 clumps of 100 ms, and a PASS needs 299, however long the whole run is."""
    results = judged(record(two_streams("p99 for sign-in < 1s", storm_ms=storm_ms)), tmp_path)
    gate = results.gates[0]
    assert gate.verdict == found
    assert gate.n > 299
    if found == "inconclusive":
        assert gate.kind is FindingKind.WINDOW_TOO_SHORT
    else:
        assert gate.withstands_ms == pytest.approx(60_000 / 299, rel=0.01)


def test_a_gap_in_the_load_itself_is_no_time_either(tmp_path: Path) -> None:
    plan = make_plan(gates=["p99 < 1s"])
    gaps = steps((40, 10_000), (0, 90_000), (40, 10_000))
    plan = plan.model_copy(update={"load": plan.load.model_copy(update={"schedule": gaps})})
    assert judged(record(plan), tmp_path).gates[0].kind is FindingKind.WINDOW_TOO_SHORT


def test_a_stopped_run_fails_by_the_arrivals_that_the_stream_had_left(tmp_path: Path) -> None:
    """At 50 s, 800 of the 1,200 sign-ins were slow, so no end of the run could save the gate; the reads are open."""
    plan = two_streams("p99 for sign-in < 1s", "p99 for reads < 1s")
    recording = slow(record(plan), 1).stopped(50_000, "fail_fast")
    recording.samples["done_ns"] = np.minimum(recording.samples["done_ns"], T0_NS + 50_000 * NS_PER_MS)
    results = judged(recording, tmp_path)
    assert verdicts(results) == ["fail", "inconclusive"]


def test_throughput_of_a_stream_is_its_own(tmp_path: Path) -> None:
    plan = two_streams("throughput for reads > 35/s", "throughput for reads > 45/s", "throughput > 45/s")
    recording = record(plan)
    assert verdicts(judged(recording, tmp_path)) == ["pass", "fail", "pass"]


def test_errors_of_one_stream_are_no_errors_of_another(tmp_path: Path) -> None:
    recording = record(two_streams("errors for reads < 1%", "errors for sign-in < 1%"))
    recording.samples["outcome"][recording.samples["request"] == 1] = Outcome.HTTP_ERROR
    assert verdicts(judged(recording, tmp_path)) == ["pass", "fail"]


def test_advice_knows_the_rate_of_what_the_gate_counts() -> None:
    plan = two_streams("p99 < 1s")
    rates = [context_of(plan, parse_gate(f"p99{of} < 1s")).rate_per_s for of in ("", " for reads", " for sign-in")]
    assert rates == [60, 40, 20]


def test_only_the_time_counts_in_which_requests_that_ask_the_upstream_arrive(tmp_path: Path) -> None:
    """The reads ask upstreams all the time; where only a storm of 20 s does, `complete` has shown no more than that."""
    plan = two_streams("complete of azure > 99%", "complete > 99%", storm_ms=20_000)
    assert verdicts(judged(record(plan), tmp_path / "reads")) == ["pass", "pass"]
    reads, storm = plan.load.requests
    swapped = (reads.model_copy(update={"asks": ()}), storm.model_copy(update={"asks": UPSTREAMS}))
    plan = plan.model_copy(update={"load": plan.load.model_copy(update={"requests": swapped})})
    results = judged(record(plan), tmp_path / "storm")
    assert {gate.kind for gate in results.gates[:2]} == {FindingKind.WINDOW_TOO_SHORT}


@pytest.mark.parametrize(
    ("request_name", "phase_per_s"), [("reads", 40.0), ("sign-in", 20 * 60 / 110), (None, 40 + 20 * 60 / 110)]
)
def test_main_and_its_successor_are_compared_at_the_rate_of_the_stream(
    request_name: str | None, phase_per_s: float
) -> None:
    found = planned_rate(two_streams("p99 < 1s"), request_name, "whole")
    assert found == pytest.approx(phase_per_s, rel=0.01)


def test_time_before_a_stream_begins_is_no_time_of_it_although_it_lasts_to_the_end() -> None:
    plan = two_streams("p99 < 1s", storm_ms=WHOLE_MS - 10_000)
    assert active_intervals(plan.load, ["sign-in"]) == ((10_000, WHOLE_MS),)
