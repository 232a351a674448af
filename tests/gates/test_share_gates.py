"""`errors = 0`, `complete of azure` and `complete 6/8`, put to made-up runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.gates.parse import parse_gate
from harness.gates.shares.none_of import excluded_share
from harness.run.early_stop import FailFast
from harness.rundir.finding_kind import FindingKind
from harness.rundir.planned.load import PlannedRequest
from harness.rundir.rows import Outcome
from tests.gates.judged import found
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.scenario.world import GOOD, changed, load, only_problem, plan_of

EIGHT = ("azure", "gcp", "aws", "oci", "lambda", "vultr", "nebius", "vastai")


def healthy(*gates: str, duration_ms: float = 60_000) -> Recording:
    return record(make_plan(gates=gates or ("errors = 0",), duration_ms=duration_ms))


def with_deadline(*gates: str) -> Recording:
    """azure is slow from 35 to 97 s, and a service with a deadline leaves it out."""
    return record(make_plan(upstreams=EIGHT, faults=[slow_fault()], gates=gates), policy="timeout")


# ---------------------------------------------------------------- = 0


def test_none_that_failed_is_a_pass_and_says_what_it_excludes(tmp_path: Path) -> None:
    finding = found("errors = 0", healthy(), tmp_path)
    assert (finding.verdict, finding.kind, finding.exceeded) == ("pass", FindingKind.HELD, 0)
    assert (finding.observed, finding.low, finding.limit, finding.op) == (0.0, 0.0, 0.0, "=")
    assert finding.high == pytest.approx(1 - 0.05 ** (1 / 600))  # 600 clumps of 100 ms in a minute
    assert finding.reason.endswith("did not end ok; so many exclude 0.50 % and more, and no smaller share")


def test_one_that_failed_is_a_fail_with_how_it_ended(tmp_path: Path) -> None:
    made = healthy()
    made.samples["outcome"][900], made.samples["status"][900] = Outcome.HTTP_ERROR, 503
    finding = found("errors = 0", made, tmp_path)
    assert (finding.verdict, finding.kind, finding.exceeded) == ("fail", FindingKind.EXCEEDED, 1)
    assert "did not end ok (1 got HTTP 503); not one may" in finding.reason


def test_only_what_the_gate_names_counts(tmp_path: Path) -> None:
    made = healthy()
    made.samples["outcome"][900] = Outcome.HTTP_ERROR
    assert found("timeouts = 0", made, tmp_path / "timeouts").verdict == "pass"
    assert found("http_error = 0", made, tmp_path / "errors").verdict == "fail"


def test_of_no_request_nothing_is_said(tmp_path: Path) -> None:
    requests = [PlannedRequest(name=name, method="GET", path="/", asks=()) for name in ("often", "never")]
    made = record(make_plan(requests=requests, gates=["errors = 0"]))
    made.samples["request"] = 0
    finding = found("errors for never = 0", made, tmp_path)
    assert (finding.verdict, finding.kind) == ("inconclusive", FindingKind.NO_ARRIVALS)


def test_a_single_request_is_enough_for_a_pass(tmp_path: Path) -> None:
    made = healthy()
    made.samples = made.samples[made.samples["intended_ns"] >= T0_NS][:1]
    finding = found("errors = 0", made, tmp_path)
    assert (finding.verdict, finding.n) == ("pass", 1)
    assert finding.high == pytest.approx(0.95)
    assert parse_gate("errors = 0").moments(0.95) == 0


@pytest.mark.parametrize(
    ("n", "seconds", "share"), [(299, 1e9, 0.009969), (1_200, 29.9, 0.009969), (1, 60.0, 0.95), (0, 0.0, 1.0)]
)
def test_the_excluded_share_counts_independent_moments(n: int, seconds: float, share: float) -> None:
    assert excluded_share(n, seconds, 100.0, 0.95) == pytest.approx(share, abs=1e-5)


def test_the_first_failure_stops_a_run_and_a_stopped_run_without_one_is_undecided(tmp_path: Path) -> None:
    made = healthy()
    assert FailFast(made.plan).reason(made.samples[:800], T0_NS) is None
    made.samples["outcome"][700] = Outcome.BAD_ANSWER
    assert "can no longer pass" in (FailFast(made.plan).reason(made.samples[:800], T0_NS) or "")
    stopped = healthy().stopped(20_000, "interrupted")
    finding = found("errors = 0", stopped, tmp_path)
    assert (finding.verdict, finding.kind) == ("inconclusive", FindingKind.STOPPED)


# ---------------------------------------------------------------- complete of, complete N/M


def test_complete_of_one_upstream_is_about_that_one_alone(tmp_path: Path) -> None:
    made = with_deadline("complete > 99%")
    made.lose("gcp", 10)
    assert found("complete of aws > 99%", made, tmp_path / "aws").verdict == "pass"
    finding = found("complete of gcp > 99%", made, tmp_path / "gcp")
    assert (finding.verdict, finding.kind) == ("fail", FindingKind.ROWS_MISSING)
    assert "lacked gcp or failed (gcp was in 90.0 % of the answers that should have held it)" in finding.reason
    assert found("complete of azure > 99% during azure-slow", made, tmp_path / "azure").verdict == "pass"  # excused


def test_complete_of_an_upstream_counts_only_requests_that_ask_it(tmp_path: Path) -> None:
    requests = [
        PlannedRequest(name="both", method="GET", path="/", asks=("azure", "gcp"), weight=1),
        PlannedRequest(name="gcp-only", method="GET", path="/", asks=("gcp",), weight=3),
    ]
    made = record(make_plan(upstreams=("azure", "gcp"), requests=requests, gates=["complete of azure > 90%"]))
    asking = made.samples["request"] == 0
    made.samples["answered"][asking] &= ~np.uint64(1)
    finding = found("complete of azure > 90%", made, tmp_path)
    measured = made.samples["intended_ns"] >= T0_NS
    assert (finding.n, finding.observed) == (int((asking & measured).sum()), 0.0)


def test_a_quorum_counts_faulted_upstreams_too(tmp_path: Path) -> None:
    made = with_deadline("complete > 99%")
    assert found("complete 7/8 > 99% during azure-slow", made, tmp_path / "seven").verdict == "pass"
    finding = found("complete 8/8 > 99% during azure-slow", made, tmp_path / "eight")
    assert (finding.verdict, finding.observed) == ("fail", 0.0)
    assert "had fewer than 8 of the 8 upstreams (azure was in 0 % of the answers)" in finding.reason
    made.lose("gcp", 4, 35_000, 97_000)
    assert found("complete 7/8 > 99% during azure-slow", made, tmp_path / "lost").verdict == "fail"
    assert found("complete 6/8 > 99% during azure-slow", made, tmp_path / "six").verdict == "pass"


def test_an_error_is_no_quorum(tmp_path: Path) -> None:
    made = healthy("complete 1/3 > 99%")
    made.samples["outcome"][::20] = Outcome.HTTP_ERROR  # with all upstreams still in the body
    assert found("complete 1/3 > 99%", made, tmp_path).verdict == "fail"


def test_they_are_judged_in_a_scenario(tmp_path: Path) -> None:
    gates = ("complete 2/2 > 99% during baseline", "complete of gcp > 99% during azure-latency", "errors = 0")
    plan = plan_of(load(tmp_path, GOOD + "".join(f"  - {gate}\n" for gate in gates)))
    assert [gate.text for gate in plan.gates[2:]] == list(gates)


@pytest.mark.parametrize(
    ("changes", "gate", "message", "fix"),
    [
        ([], "complete 6/8 > 99%", "the request `GET /v1/offers` asks 2 upstreams, not 8", "complete 2/2"),
        ([], "complete of oci > 99%", "there is no upstream `oci`", ""),
        (
            [("request: GET /v1/offers", "request: {request: GET /v1/offers, asks: [azure]}")],
            "complete of gcp > 99%",
            "no request that the gate counts asks `gcp`",
            "add `gcp` to the `asks`",
        ),
        (
            [
                (
                    "request: GET /v1/offers",
                    "requests: [GET /v1/offers, {name: one, request: GET /v1/one, asks: [azure]}]",
                )
            ],
            "complete 1/2 > 99%",
            "the request `one` asks 1 upstreams, not 2",
            'complete 1/2 for "GET /v1/offers"',
        ),
        ([("rate: 40/s", "rate: 40/s\n  complete: none")], "complete 1/2 > 99%", "no answer is checked", "remove"),
    ],
)
def test_what_they_need_of_a_scenario(
    changes: list[tuple[str, str]], gate: str, message: str, fix: str, tmp_path: Path
) -> None:
    problem = only_problem(tmp_path, changed(*changes) + f"  - {gate}\n")
    assert message in problem.message
    assert fix in problem.fix
