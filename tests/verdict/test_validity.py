"""What makes a run the rig's failure, each with its check, and never a PASS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness import verdict
from harness.cli.display.summary import run_lines
from harness.evidence import Evidence
from harness.rundir.canaries import Connections
from harness.rundir.finding_kind import FindingKind
from harness.rundir.manifest import HarnessFault, ProcessExit, RunEnd
from harness.rundir.planned.load import RemoteWorkers
from harness.rundir.planned.upstream import Endpoint
from harness.rundir.results import Results
from tests.rundir.recording import T0_NS, Recording, down_fault, make_plan, record, slow_fault

GATES = ("p99 < gateway.timeout during azure-slow",)


def healthy() -> Recording:
    return record(make_plan(faults=[slow_fault()], gates=GATES), policy="timeout")


def judged(made: Recording, tmp_path: Path) -> Results:
    return verdict.judge(Evidence.load(made.write(tmp_path)))


def assert_rig_failure(results: Results, check: str, words: str) -> None:
    assert (results.verdict, results.exit_code) == ("rig_failure", 4)
    broken: dict[str, str] = {one.check: one.detail for one in results.validity if not one.ok}
    assert set(broken) == {check}
    assert words in broken[check]
    assert words in results.reason
    assert results.why == "The rig failed, so nothing can be said about the service.", "`reason` says the rest"
    assert results.next.endswith(".")


def test_a_row_too_few(tmp_path: Path) -> None:
    made = healthy()
    made.samples = np.delete(made.samples, 1234)
    assert_rig_failure(judged(made, tmp_path), "counts", "rows for")


def test_an_arrival_recorded_twice_while_another_is_missing(tmp_path: Path) -> None:
    made = healthy()
    made.samples[1234] = made.samples[1235]
    assert_rig_failure(judged(made, tmp_path), "counts", "some arrivals have none and others several")


def test_rows_that_do_not_stand_at_their_planned_times(tmp_path: Path) -> None:
    made = healthy()
    made.samples["intended_ns"] += 5_000_000
    made.samples["sent_ns"] += 5_000_000
    assert_rig_failure(judged(made, tmp_path), "counts", "planned times")


def test_a_truncated_row_file(tmp_path: Path) -> None:
    run_dir = healthy().write(tmp_path)
    path = run_dir / "calls-0.bin"
    path.write_bytes(path.read_bytes()[:-100])
    assert_rig_failure(verdict.write(run_dir), "files", "calls-0.bin has")


def test_a_row_file_that_was_never_closed(tmp_path: Path) -> None:
    run_dir = healthy().write(tmp_path)
    (run_dir / "samples-0.bin.end").unlink()
    assert_rig_failure(verdict.write(run_dir), "files", "samples-0.bin was never closed")


def test_a_row_file_that_was_tampered_with(tmp_path: Path) -> None:
    run_dir = healthy().write(tmp_path)
    path = run_dir / "samples-0.bin"
    data = bytearray(path.read_bytes())
    data[56] ^= 1  # an outcome
    path.write_bytes(data)
    assert_rig_failure(verdict.write(run_dir), "files", "digest")


def test_a_missing_row_file(tmp_path: Path) -> None:
    run_dir = healthy().write(tmp_path)
    for path in run_dir.glob("calls-*"):
        path.unlink()
    results = verdict.write(run_dir)
    assert results.verdict == "rig_failure"
    assert "calls-0.bin is missing" in results.reason


def test_a_damaged_journal(tmp_path: Path) -> None:
    run_dir = healthy().write(tmp_path)
    journal = run_dir / "faults.ndjson"
    journal.write_text("not a line of ours\n" + journal.read_text())
    results = verdict.write(run_dir)
    assert results.verdict == "rig_failure"
    assert "faults.ndjson:1" in {one.check: one.detail for one in results.validity}["files"]


def test_a_journals_last_line_may_be_cut_short(tmp_path: Path) -> None:
    run_dir = healthy().write(tmp_path)
    with (run_dir / "faults.ndjson").open("a") as file:
        file.write('{"fault": "azure-sl')
    assert verdict.write(run_dir).verdict == "pass"


def test_a_run_whose_manifest_was_never_finished(tmp_path: Path) -> None:
    made = healthy()
    made.manifest = made.manifest.model_copy(update={"ended": None})
    assert_rig_failure(judged(made, tmp_path), "files", "cut short")


def test_a_lost_worker(tmp_path: Path) -> None:
    made = healthy()
    death = ProcessExit(child="locust-0", t_ns=1, code=1, last_line="KeyError: 'x'")
    ended = RunEnd(reason="done", deaths=(death,), rollback_verified=True)
    made.manifest = made.manifest.model_copy(update={"ended": ended})
    assert_rig_failure(judged(made, tmp_path), "workers", "locust-0 ended with code 1: KeyError: 'x'")


def test_what_the_supervisor_saw_is_said_in_its_words(tmp_path: Path) -> None:
    made = healthy()
    fault = HarnessFault(
        check="faults", message="toxiproxy ended by signal 9 during the run", fix="see logs/toxiproxy.log"
    )
    ended = RunEnd(reason="rig", rig=(fault,), rollback_verified=True)
    made.manifest = made.manifest.model_copy(update={"ended": ended})
    results = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    assert "toxiproxy ended by signal 9" in results.reason
    assert results.next == "See logs/toxiproxy.log."


# ---------------------------------------------------------------- faults


def test_a_toxiproxy_that_says_yes_and_does_nothing(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=GATES), fault_works=False)
    made.entries = [entry for entry in made.entries if entry.event != "observed"]
    results = judged(made, tmp_path)
    assert_rig_failure(
        results, "faults", "requested but never observed (azure's median moved by 0 ms, expected 60.0 s)"
    )
    assert results.gates[0].verdict == "pass"
    assert not results.faults[0].landed


def test_the_end_of_a_log_and_a_command_stand_apart_from_the_sentences(tmp_path: Path) -> None:
    made = record(make_plan(gates=["p99 < 1s"]))
    fault = HarnessFault(
        check="workers",
        message='the service ended\n  Traceback (most recent call last):\n    File "a.py"\n  ValueError: no',
        fix="run it by hand; its log is logs/sut.log\n  cd /srv && env A=1 ./serve",
    )
    made.manifest = made.manifest.model_copy(
        update={"t0_ns": None, "ended": RunEnd(reason="never_ready", rig=(fault,))}
    )
    results = judged(made, tmp_path)
    assert_rig_failure(results, "workers", "the service ended")
    assert results.reason == "the service ended"
    assert results.why == "The rig failed, so nothing can be said about the service."
    assert results.log_lines == ("Traceback (most recent call last):", '  File "a.py"', "ValueError: no")
    assert results.next == "Run it by hand; its log is logs/sut.log."
    assert results.next_command == "cd /srv && env A=1 ./serve"
    text = "\n".join(run_lines(results, tmp_path))
    assert "\\n" not in text
    assert text.count("ValueError: no") == 1
    assert "what   the service ended\n         Traceback (most recent call last):\n           File" in text
    assert "\n         cd /srv && env A=1 ./serve\n" in text


def test_a_journal_that_claims_what_no_canary_saw(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=GATES), fault_works=False)
    assert any(entry.event == "observed" for entry in made.entries)
    assert_rig_failure(judged(made, tmp_path), "faults", "never observed")


def test_a_service_that_goes_around_its_proxy(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=GATES), fault_reaches_service=False)
    made.canaries = [line for line in made.canaries if not isinstance(line, Connections)]
    results = judged(made, tmp_path)
    assert_rig_failure(results, "faults", "the service never used the proxy's address")
    assert "sut.env" in results.next


def test_a_service_that_refuses_every_request_is_asked_for_the_wrong_thing(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=GATES), fault_reaches_service=False)
    made.canaries = [line for line in made.canaries if not isinstance(line, Connections)]
    made.samples["status"] = 404
    results = judged(made, tmp_path)
    assert_rig_failure(results, "faults", "it answered every request with 404, before the fault as well")
    assert "does the service have this path" in results.next


def test_a_fault_without_canaries(tmp_path: Path) -> None:
    made = healthy()
    made.canaries = [line for line in made.canaries if line.kind == "connections"]
    assert_rig_failure(judged(made, tmp_path), "faults", "no canary to azure was answered before it")


def test_a_fault_that_was_never_applied(tmp_path: Path) -> None:
    made = healthy()
    made.entries = []
    made.manifest = made.manifest.model_copy(update={"ended": RunEnd(reason="done")})
    assert_rig_failure(judged(made, tmp_path), "faults", "never applied to azure")


def test_a_fault_that_refuses_connections_is_seen_to_fail(tmp_path: Path) -> None:
    made = record(make_plan(faults=[down_fault()], gates=["p99 < 1s during azure-down"]))
    results = judged(made, tmp_path / "seen")
    assert results.verdict == "pass"
    assert results.faults[0].proof.canary_failures > 100
    assert_rig_failure(
        judged(record(made.plan, fault_works=False), tmp_path / "unseen"), "faults", "canaries to azure did not fail"
    )


def test_a_rollback_that_was_not_verified(tmp_path: Path) -> None:
    made = healthy()
    made.entries = [entry for entry in made.entries if entry.event != "verified"]
    results = judged(made, tmp_path)
    assert_rig_failure(results, "rollback", "`azure-slow` on azure was not verified to be removed")
    assert "toxiproxy sweep" in results.next


def test_a_rollback_that_the_supervisor_could_not_verify(tmp_path: Path) -> None:
    made = healthy()
    made.manifest = made.manifest.model_copy(update={"ended": RunEnd(reason="done", rollback_verified=False)})
    assert_rig_failure(judged(made, tmp_path), "rollback", "not verified")


# ---------------------------------------------------------------- send lag


def late_between(from_ms: float, to_ms: float, lag_ms: float) -> Recording:
    def lag(t_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where((t_ms >= from_ms) & (t_ms < to_ms), lag_ms, 0.2)

    return record(make_plan(gates=["p99 < 1s"]), lag_ms=lag)


def test_a_fail_that_rests_on_send_lag_is_the_rigs(tmp_path: Path) -> None:
    results = judged(late_between(20_000, 40_000, 1_500), tmp_path)
    assert_rig_failure(results, "lag", "the load generator was late")
    assert results.gates[0].verdict == "fail"
    assert "20 seconds above 10 ms" in results.reason


def test_a_fail_that_holds_without_the_bad_seconds_stands(tmp_path: Path) -> None:
    made = late_between(20_000, 40_000, 1_500).outage(60_000, 90_000)
    results = judged(made, tmp_path)
    assert results.verdict == "fail"
    assert {one.check: one.ok for one in results.validity}["lag"]


def test_a_service_that_died_is_a_fail_however_late_the_load_was(tmp_path: Path) -> None:
    """Whatever lag did to the latencies, it killed no process: the gate on them is undecided, the run is not."""
    made = late_between(20_000, 40_000, 1_500)
    assert made.manifest.ended
    death = ProcessExit(child="sut", t_ns=T0_NS + 100_000_000_000, code=-9)
    made.manifest = made.manifest.model_copy(
        update={"ended": made.manifest.ended.model_copy(update={"deaths": (death,)})}
    )
    results = judged(made, tmp_path)
    assert (results.verdict, results.exit_code) == ("fail", 1)
    assert [(one.verdict, one.kind) for one in results.gates] == [
        ("inconclusive", FindingKind.RESTS_ON_LAG),
        ("fail", FindingKind.SERVICE_ENDED),
    ]
    assert "`p99 < 1s` does not fail: 820 of 4,487" in results.gates[0].reason
    assert all(one.ok for one in results.validity)


def test_the_calls_of_a_bad_seconds_arrivals_go_with_them(tmp_path: Path) -> None:
    """Left behind they belong to nobody, and a gate on calls could say nothing any more."""
    made = late_between(20_000, 40_000, 30)
    made.plan = make_plan(gates=['calls for "GET /v1/offers" < 0.01'])
    results = judged(made, tmp_path)
    assert results.verdict == "fail"
    assert "20 seconds above 10 ms" in {one.check: one.detail for one in results.validity}["lag"]


def test_a_pass_stands_whatever_the_lag(tmp_path: Path) -> None:
    results = judged(late_between(20_000, 40_000, 300), tmp_path)
    assert results.verdict == "pass"
    assert "no verdict rests on them" in {one.check: one.detail for one in results.validity}["lag"]


def test_a_fail_of_a_run_that_was_late_throughout_is_the_rigs(tmp_path: Path) -> None:
    assert_rig_failure(judged(late_between(-9_000, 999_000, 1_500), tmp_path), "lag", "was late")


def test_a_rate_that_was_not_held_is_named_with_the_rate_that_was(tmp_path: Path) -> None:
    """The load generator falls behind evenly: after a second of load it is half a second late."""
    made = record(make_plan(gates=["p99 < 1s"], rate_per_s=30), lag_ms=lambda t_ms: 0.2 + (t_ms - t_ms[0]) / 2)
    results = judged(made, tmp_path)
    assert_rig_failure(results, "lag", "the load generator was late")
    assert "it sent 21/s of the 31/s that were planned" in results.reason


def test_arrivals_that_wait_for_a_user_are_neither_late_nor_below_their_rate(tmp_path: Path) -> None:
    """`load.max_users` are too few: the arrivals fall behind evenly, and the load generator has their turns in time."""
    made = record(make_plan(gates=["p99 < 1s"], rate_per_s=30), lag_ms=lambda t_ms: 0.2 + (t_ms - t_ms[0]) / 2)
    made.samples["waited_us"] = (made.samples["sent_ns"] - made.samples["intended_ns"]) // 1000 - 200
    results = judged(made, tmp_path)
    assert results.verdict == "fail", "the wait is latency"
    assert {one.check: one.detail for one in results.validity}["lag"] == "p99 0.20 ms, 0 seconds above 10 ms"


def test_lag_is_measured_against_the_smallest_latency_limit(tmp_path: Path) -> None:
    """1 % of 5 s is 50 ms: 30 ms of lag make no second bad."""
    made = late_between(20_000, 40_000, 30)
    made.plan = make_plan(gates=["p99 < 5s"], gateway_timeout_ms=6_000)
    detail = {one.check: one.detail for one in judged(made, tmp_path).validity}["lag"]
    assert "0 seconds above 50 ms" in detail


def test_a_busy_generator_is_blamed_only_together_with_lag(tmp_path: Path) -> None:
    made = record(make_plan(gates=["p99 < 1s"]))
    made.resources = [{"t_ns": t * 10**9, "child": "locust-0", "cpu_s": t * 0.97} for t in range(60)]
    results = judged(made, tmp_path)
    assert results.verdict == "pass"
    assert {one.check: one.detail for one in results.validity}["generator_cpu"].endswith("97.0 % of a core")


def test_busy_load_processes_elsewhere_are_blamed_together_with_lag(tmp_path: Path) -> None:
    """The second worker is on another machine, and takes its whole core."""
    made = late_between(20_000, 40_000, 1_500)
    remote = RemoteWorkers(listen=Endpoint(port=1), token_file="/token")
    made.plan = made.plan.model_copy(update={"load": made.plan.load.model_copy(update={"remote": remote})})
    made.resources = [
        {"t_ns": t * 10**9, "child": "locust-0", "host": "far", "cpu_s": t * 0.97, "run_delay_s": None}
        for t in range(60)
    ]
    (cpu,) = (one for one in judged(made, tmp_path).validity if one.check == "generator_cpu")
    assert (cpu.ok, cpu.detail) == (False, "the busiest load worker used 97.0 % of a core")


# ---------------------------------------------------------------- the guard


def test_a_guard_that_was_too_short_leaves_the_baseline_undecided(tmp_path: Path) -> None:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 1s during baseline", *GATES], guard_ms=100)
    made = record(plan, policy="timeout")
    held = np.flatnonzero(made.samples["intended_ns"] < made.entries[1].t_ns - 100_000_000)[-8:]
    made.samples["done_ns"][held] += 500_000_000
    results = judged(made, tmp_path)
    assert [one.verdict for one in results.gates[:2]] == ["inconclusive", "pass"]
    assert results.gates[0].reason.startswith("guard_too_short: ")
    assert "load.guard" in results.next


@pytest.mark.parametrize("workers", [1, 3])
def test_rows_of_several_workers_are_one_run(tmp_path: Path, workers: int) -> None:
    plan = make_plan(faults=[slow_fault()], gates=GATES, workers=workers)
    results = judged(record(plan, policy="timeout"), tmp_path)
    assert results.verdict == "pass"
    document = json.loads(json.dumps(results.model_dump(mode="json")))
    assert document["gates"][0]["n"] == results.gates[0].n
