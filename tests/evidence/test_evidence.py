"""Rows put in order, the closed model, and arrivals of several requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness import verdict
from harness.evidence import NEVER, Evidence
from harness.evidence.files import in_order
from harness.evidence.joining.row_table import RowTable
from harness.evidence.window import WINDOWS_KEPT_MOST, RecentWindows, Window
from harness.rundir.plan import Plan
from harness.rundir.rows import LOGIN_SEQ, SAMPLES, Outcome
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault


def test_rows_come_in_any_order_and_are_read_by_intended_time(tmp_path: Path) -> None:
    made = record(make_plan(workers=3))
    run = Evidence.load(made.write(tmp_path))
    assert (run.samples["seq"] == np.arange(len(made.samples))).all()
    assert (np.diff(run.intended_ns) >= 0).all()


def test_a_window_is_selected_once_while_it_is_among_the_last_that_were_asked_for() -> None:
    kept, made = RecentWindows(), []
    empty = RowTable.of([], SAMPLES)

    def ask(key: int) -> Window:
        def select() -> Window:
            made.append(key)
            return Window(empty, np.empty(0, np.int64), slice(0, 0), 0.0, key, key, cut=False)

        return kept.get(key, select)

    assert ask(0) is ask(0)
    for key in (*range(1, WINDOWS_KEPT_MOST), 0, WINDOWS_KEPT_MOST, 0, 1):
        assert ask(key).start_ns == key
    assert made == [*range(WINDOWS_KEPT_MOST + 1), 1]


def test_gaps_and_doubles_are_kept_for_the_count_to_find() -> None:
    rows = np.zeros(4, SAMPLES.dtype())
    rows["seq"] = [7, 1, 1, 3]
    rows["intended_ns"] = [70, 10, 10, 30]
    assert in_order([rows[:2], rows[2:]])["seq"].tolist() == [1, 1, 3, 7]
    assert len(in_order([rows[:0]])) == 0


def test_calls_are_tied_to_arrivals_and_strangers_to_none(tmp_path: Path) -> None:
    made = record(make_plan(upstreams=("azure",)))
    made.calls["seq"][:3] = [2**64 - 1, 10**9, 5]
    run = Evidence.load(made.write(tmp_path))
    assert run.call_arrivals[:4].tolist() == [-1, -1, 5, 3]


def test_calls_of_logins_are_no_part_of_the_evidence(tmp_path: Path) -> None:
    made = record(make_plan(upstreams=("azure",)))
    before = len(made.calls)
    made.calls["seq"][:3] = LOGIN_SEQ
    run = Evidence.load(made.write(tmp_path))
    assert len(run.calls) == before - 3
    assert (run.call_arrivals >= 0).all()


def test_bad_seconds_take_their_arrivals_and_their_time_away(tmp_path: Path) -> None:
    run = Evidence.load(record(make_plan(duration_ms=20_000)).write(tmp_path))
    clean = run.without(frozenset({3, 4, 25}))
    assert clean.window("whole").seconds == 18
    seconds = (clean.window("whole").samples["intended_ns"] - T0_NS) // 10**9
    assert set(seconds.tolist()) == set(range(20)) - {3, 4}


def test_injections_of_one_upstream_are_joined(tmp_path: Path) -> None:
    faults = [
        slow_fault("one", apply_ms=20_000, remove_ms=40_000),
        slow_fault("two", apply_ms=30_000, remove_ms=50_000),
        slow_fault("other", upstream="gcp", apply_ms=60_000, remove_ms=70_000),
    ]
    run = Evidence.load(record(make_plan(faults=faults)).write(tmp_path))
    ms = [((begin - T0_NS) / 1e6, (end - T0_NS) / 1e6) for begin, end in run.injections("azure")]
    assert ms == [(19_997, 50_002)]
    assert run.injections("aws") == []


def closed(plan: Plan) -> Plan:
    load = plan.load.model_copy(update={"model": "closed", "schedule": None, "users": 10, "workers": 2})
    return plan.model_copy(update={"load": load})


def test_a_closed_model_plans_no_count(tmp_path: Path) -> None:
    made = record(make_plan(gates=["p99 < 1s", "errors < 1%"], workers=2))
    made.plan = closed(made.plan)
    made.samples["sent_ns"] = made.samples["intended_ns"]
    made.samples = np.delete(made.samples, 77)
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert results.verdict == "pass"
    assert (results.run.load.model, results.run.load.rate_per_s) == ("closed", None)
    assert "closed model" in results.validity[0].detail


def test_a_closed_run_that_was_stopped_is_undecided(tmp_path: Path) -> None:
    made = record(make_plan(gates=["p99 < 1s"]))
    made.plan = closed(made.plan).model_copy(update={"load": closed(made.plan).load.model_copy(update={"workers": 1})})
    results = verdict.judge(Evidence.load(made.stopped(60_000, "interrupted").write(tmp_path)))
    assert results.gates[0].verdict == "inconclusive"


def with_second_requests(*, outcome: Outcome) -> Recording:
    """Each arrival makes a second request, which takes 5 s and ends as `outcome`."""
    made = record(make_plan(gates=["p99 < 1s", 'p99 for "GET /v1/offers" < 1s', "errors < 1%"]))
    second = made.samples.copy()
    second["part"] = 1
    second["intended_ns"] = second["sent_ns"] = made.samples["done_ns"]
    second["done_ns"] = second["intended_ns"] + 5_000_000_000
    second["outcome"] = outcome
    made.samples = np.concatenate([made.samples, second])
    return made


def test_latency_gates_look_at_the_first_request_unless_they_name_one(tmp_path: Path) -> None:
    results = verdict.judge(Evidence.load(with_second_requests(outcome=Outcome.OK).write(tmp_path)))
    assert [gate.verdict for gate in results.gates[:3]] == ["pass", "fail", "pass"]
    assert results.validity[0].ok


def test_errors_of_later_requests_count(tmp_path: Path) -> None:
    results = verdict.judge(Evidence.load(with_second_requests(outcome=Outcome.HTTP_ERROR).write(tmp_path)))
    assert results.gates[2].verdict == "fail"


def test_what_did_not_end_ok_never_ended(tmp_path: Path) -> None:
    made = record(make_plan()).outage(0, 10_000)
    run = Evidence.load(made.write(tmp_path))
    window = run.window("whole")
    assert (window.latency_ns[window.samples["outcome"] != Outcome.OK] == NEVER).all()
    assert window.ok.sum() == (window.samples["outcome"] == Outcome.OK).sum()
