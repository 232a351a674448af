"""What, why and next speak of the outcome that did the damage, in order of weight, and of no sliver as a cause."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.rundir.finding_kind import FindingKind
from harness.rundir.planned.load import PlannedRequest
from harness.rundir.results import GateResult, Results
from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS
from tests.rundir.recording import T0_NS, make_plan, record

GATEWAY_MS = 3_000.0
CAP_MS = 8_000.0
OTHER = "POST /v1/quotes"
UPSTREAMS = ("azure", "gcp", "aws")


@dataclass(frozen=True)
class Ended:
    """`n` requests that ended so, after `after_ms`."""

    outcome: Outcome
    n: int
    status: int = 0
    after_ms: float = 40.0


ERRORS_500 = Ended(Outcome.HTTP_ERROR, 315, 500)
TIMEOUTS_504 = Ended(Outcome.GATEWAY_TIMEOUT, 315, 504, GATEWAY_MS)
CUT_OFF_BY_CLIENT = Ended(Outcome.CLIENT_TIMEOUT, 315, 0, CAP_MS)
REFUSED = Ended(Outcome.CONNECTION_ERROR, 315)
UNREADABLE = Ended(Outcome.BAD_ANSWER, 315, 200)
DROPPED = Ended(Outcome.DROPPED, 315, 0, 0.0)
STILL_OPEN = Ended(Outcome.UNFINISHED, 315, 0, 5_000.0)


def few(ended: Ended, n: int = 2) -> Ended:
    return Ended(ended.outcome, n, ended.status, ended.after_ms)


def judged(folder: Path, *ended: Ended, gate: str = "p99 < 3s") -> tuple[Results, GateResult]:
    """Some 1,200 arrivals of which so many end so, spread evenly, all on a request that the gate does not name."""
    requests = [
        PlannedRequest(name=name, method=name.split()[0], path=name.split()[1], asks=UPSTREAMS, weight=weight)
        for name, weight in (("GET /v1/offers", 1), (OTHER, 1))
    ]
    plan = make_plan(gates=[gate], gateway_timeout_ms=GATEWAY_MS, requests=requests, duration_ms=31_000)
    made = record(plan)
    of_other = np.flatnonzero((made.samples["intended_ns"] >= T0_NS) & (made.samples["request"] == 1))
    total = sum(each.n for each in ended)
    chosen = of_other[np.linspace(0, len(of_other) - 1, total).astype(int)]
    np.random.default_rng(3).shuffle(chosen)
    for each in ended:
        rows, chosen = chosen[: each.n], chosen[each.n :]
        made.samples["outcome"][rows], made.samples["status"][rows] = each.outcome, each.status
        made.samples["done_ns"][rows] = made.samples["intended_ns"][rows] + round(each.after_ms * NS_PER_MS)
    results = verdict.judge(Evidence.load(made.write(folder)))
    return results, results.gates[0]


Case = tuple[tuple[Ended, ...], str, float | None, str | None, str]
CASES: list[Case] = [
    # ended, what they did, what was cut off at which time by what, words of next
    ((ERRORS_500, few(TIMEOUTS_504)), "got HTTP 500", None, None, "See logs/sut.log for the error behind HTTP 500."),
    ((ERRORS_500,), "got HTTP 500", None, None, "See logs/sut.log for the error behind HTTP 500."),
    ((TIMEOUTS_504, few(ERRORS_500)), "got a 504", GATEWAY_MS, "gateway_timeout", "Bound how long a request may take"),
    ((TIMEOUTS_504,), "got a 504", GATEWAY_MS, "gateway_timeout", "Bound how long a request may take"),
    ((CUT_OFF_BY_CLIENT, few(TIMEOUTS_504)), "timed out in the load generator", CAP_MS, "client_timeout", "Bound how"),
    ((REFUSED, few(TIMEOUTS_504)), "were refused or lost their connection", None, None, "an accept queue that is full"),
    ((UNREADABLE, few(TIMEOUTS_504)), "got an answer that failed a check", None, None, "Compare an answer's body"),
    ((DROPPED, few(TIMEOUTS_504)), "found no free slot and were dropped", None, None, "`load.max_in_flight`"),
    ((STILL_OPEN, few(ERRORS_500)), "were still open when the drain ended", 5_000.0, "unfinished", "Bound how long"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "+".join(each.outcome.name for each in case[0]))
def test_the_outcome_that_did_the_damage_is_named_and_a_sliver_is_no_cause(case: Case, tmp_path: Path) -> None:
    ended, did, cut_off_ms, cut_off_by, next_ = case
    results, gate = judged(tmp_path, *ended)
    assert (results.verdict, gate.kind) == ("fail", FindingKind.EXCEEDED)
    assert (gate.observed, gate.censored_at_ms, gate.censored_by) == (None, cut_off_ms, cut_off_by)
    assert gate.failed_at_rank is (cut_off_ms is None)
    total = sum(each.n for each in ended)
    assert gate.exceeded == total == sum(each.n for each in gate.exceeded_by)
    assert [each.outcome for each in gate.exceeded_by] == [each.outcome.name.lower() for each in ended]
    assert gate.reason.startswith(f"{total} of {gate.n:,} requests")
    assert f"({ended[0].n} {did}" in gate.reason
    assert f": {ended[0].n} of {gate.n:,} requests {did}" in results.reason
    assert next_ in results.next
    if cut_off_by == "gateway_timeout":
        assert "The gateway gave up after 3.00 s" in results.why
    else:
        assert f"of this phase's requests {did}." in results.why
        assert "gateway" not in results.why
        assert "gateway gave up" not in results.reason
    if cut_off_by != "client_timeout" and Outcome.GATEWAY_TIMEOUT in {each.outcome for each in ended[1:]}:
        assert "504" not in results.why + results.next
        assert "2 got a 504" in results.reason, "counted, behind what weighs more"


def test_two_outcomes_of_weight_are_both_causes_the_heavier_first(tmp_path: Path) -> None:
    results, gate = judged(tmp_path, ERRORS_500, few(TIMEOUTS_504, 200), few(REFUSED, 1))
    assert (gate.censored_at_ms, gate.failed_at_rank) == (GATEWAY_MS, False), "200 of 1,200 alone put p99 there"
    assert results.why.index("got HTTP 500") < results.why.index("The gateway gave up after 3.00 s")
    assert results.next.index("the error behind HTTP 500") < results.next.index("Bound how long a request may take")
    assert "connection" not in results.why + results.next
    assert "315 of" in results.reason
    assert "200 got a 504, 1 were refused or lost their connection" in results.reason


def test_errors_of_several_statuses_weigh_together(tmp_path: Path) -> None:
    kinds = [few(Ended(Outcome.HTTP_ERROR, 0, status), n) for status, n in ((500, 90), (502, 80), (503, 70))]
    results, gate = judged(tmp_path, few(TIMEOUTS_504, 100), *kinds)
    assert [each.status for each in gate.exceeded_by] == [None, 500, 502, 503]
    assert results.next.startswith("See logs/sut.log for the error behind HTTP 500 and 502.")
    assert results.why.index("got HTTP 500") < results.why.index("The gateway gave up")


def test_answers_that_were_only_slow_blame_no_error(tmp_path: Path) -> None:
    slow = Ended(Outcome.OK, 315, 200, 2_500.0)
    results, gate = judged(tmp_path, slow, few(ERRORS_500), gate="p99 < 2s")
    assert [each.outcome for each in gate.exceeded_by] == ["slow", "http_error"]
    assert gate.observed == pytest.approx(2_500)
    assert "HTTP" not in results.why + results.next
    assert results.next.startswith("Bound how long a request may take")
    assert "took too long" in results.why


@pytest.mark.parametrize("outcome", [Outcome.GATEWAY_TIMEOUT, Outcome.CLIENT_TIMEOUT])
def test_a_timeout_that_came_at_once_cuts_nothing_off(outcome: Outcome, tmp_path: Path) -> None:
    _, gate = judged(tmp_path, Ended(outcome, 315, 504))
    assert (gate.verdict, gate.censored_at_ms, gate.failed_at_rank) == ("fail", None, True)


def test_errors_that_took_as_long_as_the_timeout_were_not_cut_off_by_it(tmp_path: Path) -> None:
    results, gate = judged(tmp_path, Ended(Outcome.HTTP_ERROR, 315, 500, GATEWAY_MS), few(TIMEOUTS_504))
    assert (gate.verdict, gate.censored_at_ms, gate.failed_at_rank) == ("fail", None, True)
    assert "gateway" not in results.why + results.next


@pytest.mark.parametrize(
    ("gate", "next_"),
    [
        ("errors < 1%", "the error behind HTTP 500"),
        ("http_error < 1%", "the error behind HTTP 500"),
        ("throughput > 38/s", "the error behind HTTP 500"),
    ],
)
def test_gates_on_shares_and_rates_name_it_as_well(gate: str, next_: str, tmp_path: Path) -> None:
    results, _ = judged(tmp_path, ERRORS_500, few(TIMEOUTS_504), gate=gate)
    assert results.verdict == "fail"
    assert "got HTTP 500" in results.reason
    assert "got HTTP 500" in results.why
    assert next_ in results.next
    assert "gateway" not in results.why + results.next


def test_a_gate_on_timeouts_counts_timeouts_alone(tmp_path: Path) -> None:
    results, gate = judged(tmp_path, ERRORS_500, few(TIMEOUTS_504, 60), gate="timeouts < 1%")
    assert [each.outcome for each in gate.exceeded_by] == ["gateway_timeout"]
    assert "The gateway gave up after 3.00 s" in results.why
    assert "HTTP 500" not in results.why + results.next


def test_an_upstream_that_answers_with_errors_is_cut_off_by_nothing(tmp_path: Path) -> None:
    made = record(make_plan(gates=["p99 of azure < 1s"], gateway_timeout_ms=GATEWAY_MS))
    made.calls["status"][made.calls["upstream"] == 0] = 500
    gate = verdict.judge(Evidence.load(made.write(tmp_path))).gates[0]
    assert (gate.verdict, gate.observed, gate.censored_at_ms, gate.failed_at_rank) == ("fail", None, None, True)
