"""A run that was stopped because its warm-up had failed: whose fault it was, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from harness import verdict
from harness.evidence.unmatched import CallCounts
from harness.rundir.manifest import RunEnd
from harness.rundir.plan import Plan
from harness.rundir.results import Results
from harness.rundir.rows import NO_ROUTE, NO_SEQ, Outcome
from harness.rundir.unmatched import Unmatched
from harness.verdict.warmup import asked_in_vain, none_matches
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault

STOPPED_MS = 2_500


def stopped(reason: str = "warmup_failed") -> Recording:
    """Two seconds of warm-up at 40/s, stopped 2.5 s after t = 0."""
    recording = record(make_plan(faults=[slow_fault()], gates=["p99 < gateway.timeout during azure-slow"]))
    recording.stopped(STOPPED_MS, "fail_fast")
    ended = RunEnd.model_validate({"reason": reason, "stop_at_ns": T0_NS + STOPPED_MS * 1_000_000})
    recording.manifest = recording.manifest.model_copy(update={"ended": ended})
    recording.calls = recording.calls[np.isin(recording.calls["seq"], recording.samples["seq"])]
    return recording


def failing(recording: Recording, outcome: Outcome, status: int) -> Recording:
    recording.samples["outcome"] = outcome
    recording.samples["status"] = status
    recording.samples["answered"] = 0
    return recording


def unmatched(recording: Recording, *upstreams: str) -> Recording:
    """No call to these upstreams (to all, if none is given) matches what they have."""
    own = [upstream for upstream in recording.plan.upstreams if not upstreams or upstream.name in upstreams]
    chosen = np.isin(recording.calls["upstream"], [upstream.index for upstream in own])
    recording.calls["route"][chosen], recording.calls["status"][chosen] = NO_ROUTE, 404
    recording.unmatched = [
        Unmatched(
            upstream=upstream.name,
            method="GET",
            path="/v2/offers",
            status=404,
            calls=312,
            speaks="a fake of the provider generic speaks GET /offers?cursor=",
        )
        for upstream in own
    ]
    return recording


def rarely(recording: Recording, upstream: str) -> Recording:
    """Only every second request asks this upstream."""
    index = recording.plan.upstream(upstream).index
    dropped = (recording.calls["upstream"] == index) & (recording.calls["seq"] % 2 == 0)
    recording.calls = recording.calls[~dropped]
    return recording


def judged(recording: Recording, run_dir: Path) -> Results:
    """Judged twice, to the same bytes."""
    recording.write(run_dir)
    first, kept = verdict.write(run_dir), (run_dir / "results.json").read_bytes()
    verdict.write(run_dir)
    assert (run_dir / "results.json").read_bytes() == kept
    return first


def test_answers_that_are_all_errors_are_the_services_fault(tmp_path: Path) -> None:
    results = judged(failing(stopped(), Outcome.HTTP_ERROR, 503), tmp_path)
    assert (results.verdict, results.exit_code) == ("fail", 1)
    assert results.reason == "Every request of the last half of the warm-up failed, before any fault."
    assert "ended as http_error. Every request of the last half was answered with 503." in results.why
    assert "It answers 503 to everything" in results.next
    assert results.run.stopped == "the warm-up had shown that the run cannot end well, at 2.50 s"
    assert [gate.id for gate in results.gates if gate.verdict == "fail"] == ["service-answers"]


def test_several_ways_to_fail_are_counted_the_most_frequent_first(tmp_path: Path) -> None:
    recording = failing(stopped(), Outcome.HTTP_ERROR, 500)
    third = recording.samples["seq"] % 3 == 0
    recording.samples["outcome"][third], recording.samples["status"][third] = Outcome.GATEWAY_TIMEOUT, 504
    why = judged(recording, tmp_path).why
    assert why.index("ended as http_error and") < why.index("as gateway_timeout.")
    assert "was answered with" not in why


def test_requests_that_reach_nothing_are_a_rig_failure(tmp_path: Path) -> None:
    recording = failing(stopped(), Outcome.CONNECTION_ERROR, 0)
    recording.calls = recording.calls[:0]
    results = judged(recording, tmp_path)
    assert (results.verdict, results.exit_code) == ("rig_failure", 4)
    assert "no request of the warm-up got an answer from http://" in results.reason
    assert "ended as connection_error" in results.reason
    assert "see that the service listens there" in results.next.lower()
    assert "service-answers" not in [gate.id for gate in results.gates]


def test_a_service_that_cut_the_connection_after_it_had_called_its_backends_was_reached(tmp_path: Path) -> None:
    results = judged(failing(stopped(), Outcome.CONNECTION_ERROR, 0), tmp_path)
    assert (results.verdict, results.exit_code) == ("fail", 1)


@pytest.mark.parametrize(("errors", "verdict_", "code"), [(False, "rig_failure", 4), (True, "fail", 1)])
def test_calls_that_match_no_route_are_named(tmp_path: Path, errors: bool, verdict_: str, code: int) -> None:
    """The service's fault where it says so in its own answers; else no fault of a fake could be met."""
    recording = unmatched(stopped())
    if errors:
        failing(recording, Outcome.HTTP_ERROR, 502)
    results = judged(recording, tmp_path)
    assert (results.verdict, results.exit_code) == (verdict_, code)
    assert "gcp has no GET /v2/offers: 404 to 312 calls" in results.reason
    assert "a fake of the provider generic speaks GET /offers?cursor=" in results.next
    assert ("ended as http_error" in results.why) is errors


def test_one_good_answer_in_the_last_half_is_enough_to_go_on(tmp_path: Path) -> None:
    recording = failing(stopped(), Outcome.HTTP_ERROR, 503)
    last = np.flatnonzero(recording.samples["intended_ns"] < T0_NS)[-1]
    recording.samples["outcome"][last] = Outcome.OK
    assert judged(recording, tmp_path).verdict == "inconclusive"


@pytest.mark.parametrize("reason", ["fail_fast", "interrupted"])
def test_a_run_that_was_stopped_for_another_reason_is_judged_as_before(tmp_path: Path, reason: str) -> None:
    results = judged(failing(stopped(reason), Outcome.HTTP_ERROR, 503), tmp_path)
    assert "service-answers" not in [gate.id for gate in results.gates]


@pytest.mark.parametrize("upstream", ["azure", "gcp"])
def test_one_upstream_that_has_nothing_of_what_every_request_asks_is_enough(tmp_path: Path, upstream: str) -> None:
    """azure has a fault, gcp has none."""
    results = judged(unmatched(stopped(), upstream), tmp_path)
    assert (results.verdict, results.exit_code) == ("rig_failure", 4)
    assert results.reason == (
        f"every call of the service to {upstream} in the warm-up asked for something that it does not have "
        f"({upstream} has no GET /v2/offers: 404 to 312 calls)"
    )
    assert f"ask for what {upstream} has: a fake of the provider generic speaks GET /offers?cursor=" in results.next
    (check,) = [check for check in results.validity if not check.ok]
    assert check.part == f"upstream {upstream}"


def test_several_upstreams_are_named_together_with_their_nearest_routes(tmp_path: Path) -> None:
    recording = unmatched(stopped(), "azure", "gcp")
    recording.unmatched = [line.model_copy(update={"nearest": "GET /v1/offers"}) for line in recording.unmatched]
    results = judged(recording, tmp_path)
    assert "to azure, gcp in the warm-up asked for something that they do not have (azure has no" in results.reason
    assert "the nearest to GET /v2/offers of gcp is GET /v1/offers" in results.next
    assert "Add a route for what the service asks, or correct the base URL" in results.next


def of_gates(*gates: str, faults: bool = False, complete: Literal["auto", "none"] = "none") -> Plan:
    plan = make_plan(faults=[slow_fault()] if faults else [], gates=gates)
    return plan.model_copy(update={"load": plan.load.model_copy(update={"complete": complete})})


@pytest.mark.parametrize(
    ("plan", "upstream", "about"),
    [
        (of_gates("p99 < 1s", faults=True), "azure", True),
        (of_gates("p99 < 1s", faults=True), "gcp", False),
        (of_gates("p99 of gcp < 1s"), "gcp", True),
        (of_gates("p99 of gcp < 1s"), "azure", False),
        (of_gates("calls to gcp < 2"), "gcp", True),
        (of_gates("calls < 9"), "gcp", True),
        (of_gates("complete > 90%", complete="auto"), "gcp", True),
        (of_gates("errors < 5%"), "gcp", False),
    ],
)
def test_an_upstream_that_few_requests_ask_counts_if_a_fault_or_a_gate_names_it(
    plan: Plan, upstream: str, about: bool
) -> None:
    recording = rarely(unmatched(record(plan), upstream), upstream)
    in_warmup = recording.calls[recording.calls["arrived_ns"] < T0_NS]
    arrivals = int((recording.samples["intended_ns"] < T0_NS).sum())
    assert asked_in_vain(plan, in_warmup, arrivals) == ((upstream,) if about else ())


def test_one_call_that_an_upstream_has_something_for_is_enough(tmp_path: Path) -> None:
    recording = unmatched(stopped(), "azure")
    azure = recording.calls["upstream"] == recording.plan.upstream("azure").index
    recording.calls["route"][np.flatnonzero(azure)[0]] = 0
    assert judged(recording, tmp_path).verdict == "inconclusive"


def test_few_probes_of_the_services_own_say_nothing_of_an_upstream() -> None:
    recording = unmatched(stopped(), "azure")
    azure = recording.calls["upstream"] == recording.plan.upstream("azure").index
    probes = recording.calls[azure][:11].copy()
    probes["seq"] = NO_SEQ
    calls = np.concatenate([recording.calls[~azure], probes])
    assert asked_in_vain(recording.plan, calls, 80) == ()
    assert asked_in_vain(recording.plan, calls, 20) == ("azure",)


@pytest.mark.parametrize(
    ("numbered", "matched", "others", "hopeless"),
    [
        (10, 0, 0, True),
        (9, 0, 0, False),
        (500, 1, 0, False),
        (0, 0, 49, False),  # a probe now and then, of a service that answers from its cache
        (0, 0, 50, True),
        (0, 1, 500, False),
    ],
)
def test_probes_of_the_services_own_do_not_stop_a_run(numbered: int, matched: int, others: int, hopeless: bool) -> None:
    assert none_matches(CallCounts(numbered, matched, others), arrivals=100) is hopeless


def test_calls_are_counted_by_number_and_route() -> None:
    calls = stopped().calls[:4].copy()
    calls["seq"] = [1, 2, NO_SEQ, NO_SEQ]
    calls["route"] = [0, NO_ROUTE, 0, NO_ROUTE]
    assert CallCounts.of(calls) == CallCounts(2, 1, 2, 1, arrivals=2)
    calls["seq"] = [1, 1, 1, NO_SEQ]
    assert CallCounts.of(calls) == CallCounts(3, 2, 1, 0, arrivals=1)


# ---------------------------------------------------------------- was it the machine?


def timed_out(called_late_ms: float = 0.0, **others: Any) -> Recording:
    """Every request gets a 504 after 2 s, beside others that take the cores."""
    made = failing(stopped(), Outcome.GATEWAY_TIMEOUT, 504)
    made.samples["done_ns"] = made.samples["sent_ns"] + 2_000_000_000
    made.calls["arrived_ns"] += round(called_late_ms * 1e6)
    made.beside(-1, 5, **others)
    made.resources = [line for line in made.resources if line["t_ns"] <= T0_NS + 5_000_000_000]
    return made


def test_a_warm_up_that_others_held_up_says_nothing_about_the_service(tmp_path: Path) -> None:
    results = judged(timed_out(1_500, waited_s=1.8), tmp_path)
    assert (results.verdict, results.exit_code) == ("rig_failure", 4)
    assert results.reason.startswith("the machine was busy with something else: in 3 of 3 seconds (0 s to 3 s)")
    assert results.reason.endswith("and without those seconds `service-answers` cannot be decided")
    assert "service-answers" not in {gate.id for gate in results.gates}


@pytest.mark.parametrize(
    "others",
    [{"others_s": 0.4}, {"waited_s": 0.05}, {"waited_s": 0.3}, {"used_s": 1.7}],
    ids=["little", "nothing waited", "it waited too little", "it used more than they"],
)
def test_a_warm_up_that_nothing_held_up_is_a_fail(others: dict[str, float], tmp_path: Path) -> None:
    results = judged(timed_out(**others), tmp_path)
    assert results.verdict == "fail"
    assert "service-answers" in {gate.id for gate in results.gates}


def test_errors_of_a_warm_up_beside_others_are_the_services(tmp_path: Path) -> None:
    """Its calls came at once, so nothing had queued up."""
    made = timed_out()
    assert judged(failing(made, Outcome.HTTP_ERROR, 500), tmp_path).verdict == "fail"
