"""`--fail-fast`: when a run may stop, and that judging the stopped run says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.run.early_stop import FailFast
from harness.rundir.rows import Outcome
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault

GATES = (
    "p99 < gateway.timeout during azure-slow",
    "timeouts < 1% during azure-slow",
    "complete > 99% during azure-slow",
)


def stops_at_ms(made: Recording) -> tuple[float, str] | None:
    """Ask once a second, with the rows that had ended by then."""
    now_ns = T0_NS
    doom = FailFast(made.plan, lambda: [line for line in made.resources if line["t_ns"] <= now_ns])
    for t_ms in range(30_000, 110_000, 1_000):
        now_ns = T0_NS + t_ms * 1_000_000
        done = made.samples["done_ns"] <= now_ns
        if reason := doom.reason(made.samples[done], T0_NS):
            return t_ms, reason
    return None


def test_a_total_outage_stops_early_and_stays_failed(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=GATES), policy="parallel")
    stop = stops_at_ms(made)
    assert stop is not None
    t_ms, reason = stop
    # 10.8 % of the 60 s phase, the gateway's 2 s until the first is known, and a look a second
    assert 35_000 < t_ms <= 35_000 + 6_500 + 2_000 + 1_000
    assert reason.startswith("`p99 < gateway.timeout during azure-slow` can no longer pass: ")
    results = verdict.judge(Evidence.load(made.stopped(t_ms, "fail_fast").write(tmp_path)))
    assert (results.verdict, results.exit_code) == ("fail", 1)
    assert [gate.verdict for gate in results.gates[:2]] == ["fail", "fail"]
    assert [check.check for check in results.validity if not check.ok] == []
    assert results.run.stopped is not None


@pytest.mark.parametrize("policy", ["timeout", "parallel"])
def test_what_is_not_sure_does_not_stop(policy: str) -> None:
    healthy = record(make_plan(faults=[slow_fault()], gates=["p99 < 1.5s during azure-slow"]), policy="timeout")
    if policy == "parallel":
        healthy.outage(40_000, 43_000)  # 5 % of the phase in one stretch: one event
    assert stops_at_ms(healthy) is None


def test_a_doom_that_rests_on_send_lag_does_not_stop() -> None:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 1.5s during azure-slow"])
    late = record(plan, policy="timeout", lag_ms=lambda t_ms: np.where((t_ms > 40_000) & (t_ms < 60_000), 3_000.0, 0.2))
    assert stops_at_ms(late) is None


def test_removing_the_faults_early_does_not_count_for_the_service(tmp_path: Path) -> None:
    """After the stop every held request is let go and looks fast; what was open then is not known to be so."""
    plan = make_plan(
        faults=[slow_fault(held_ms=20_000)], gates=["p99 < 20s during azure-slow"], gateway_timeout_ms=20_000
    )
    made = record(plan, policy="parallel")
    made.stopped(45_000, "interrupted")
    let_go = made.samples["intended_ns"] > T0_NS + 35_000_000_000
    made.samples["done_ns"][let_go] = T0_NS + 45_000_000_000 + 5_000_000
    made.samples["outcome"][let_go] = Outcome.OK
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert results.gates[0].verdict == "inconclusive"


def test_the_rows_that_were_open_at_the_removal_count_by_how_long_they_had_waited(tmp_path: Path) -> None:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 500ms during azure-slow"])
    made = record(plan, policy="parallel").stopped(50_000, "fail_fast")
    let_go = made.samples["intended_ns"] > T0_NS + 48_000_000_000
    made.samples["done_ns"][let_go] = T0_NS + 50_000_000_000 + 5_000_000
    made.samples["outcome"][let_go] = Outcome.OK
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert results.gates[0].verdict == "fail"
    # 15 s of arrivals are known to be slow, the last half second of them is not
    assert results.gates[0].exceeded == pytest.approx(14.5 * 40, rel=0.1)


def test_gates_that_were_over_by_the_stop_are_decided_as_ever(tmp_path: Path) -> None:
    plan = make_plan(
        faults=[slow_fault()], gates=[*GATES, "p99 < 1s during baseline", "recovery < 5s after azure-slow"]
    )
    made = record(plan, policy="parallel").stopped(48_000, "fail_fast")
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert [gate.verdict for gate in results.gates[:5]] == ["fail", "fail", "fail", "pass", "inconclusive"]


@pytest.mark.parametrize("cut", [False, True])
def test_arrivals_dropped_for_want_of_our_own_slots_stop_nothing(cut: bool) -> None:
    plan = make_plan(faults=[slow_fault()], gates=["errors < 1% during azure-slow"])
    made = record(plan.model_copy(update={"load": plan.load.model_copy(update={"slots_cut": cut})}), policy="timeout")
    made.samples["outcome"][made.samples["seq"] % 3 == 0] = Outcome.DROPPED
    assert (stops_at_ms(made) is None) is cut


def slow_for(seconds: range) -> Recording:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 1.5s during azure-slow"])
    made = record(plan, policy="timeout")
    return made.slowed(seconds.start * 1_000, seconds.stop * 1_000, 900)


def test_a_doom_that_rests_on_cores_that_others_took_does_not_stop() -> None:
    assert stops_at_ms(slow_for(range(40, 60))) is not None
    assert stops_at_ms(slow_for(range(40, 60)).beside(39, 62)) is None


def test_a_doom_that_holds_without_those_seconds_stops() -> None:
    stop = stops_at_ms(slow_for(range(40, 75)).beside(39, 50))
    assert stop is not None
    assert stop[0] > 55_000


def test_a_doom_that_no_waiting_explains_stops() -> None:
    made = record(make_plan(faults=[slow_fault()], gates=GATES), policy="parallel").beside(-1, 200, waited_s=0.2)
    assert stops_at_ms(made) is not None
