"""Proof of faults on processes: /proc in the journal and the requests of the load; and what of the run they explain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import verdict
from harness.evidence import Evidence, Pool
from harness.gates.parse import parse_gate
from harness.rundir.journal import Entry
from harness.rundir.judged.fault_results import FaultResult
from harness.rundir.manifest import ProcessExit, RunEnd
from harness.rundir.planned.fault import PlannedFault, Proof
from harness.rundir.planned.process_act import SERVICE_TARGET, ProcessAct
from harness.rundir.results import Results
from reports.validity import witnessed
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault

MS = 1_000_000
APPLY_MS, REMOVE_MS = 35_000, 97_000


def acting(act: ProcessAct, target: str = SERVICE_TARGET) -> PlannedFault:
    changes = {"kind": act, "text": act, "process": act, "proof": Proof(kind="process"), "held_ms": 0.0}
    return slow_fault("gone", upstream=target).model_copy(update={**changes, "delay_ms": None})


def recorded(act: ProcessAct = "kill", *, target: str = SERVICE_TARGET, gate: str = "errors < 1%") -> Recording:
    made = record(make_plan(faults=[acting(act, target)], gates=(gate,)), fault_works=False)
    made.entries = [
        entry.model_copy(update={"detail": "process 7 has ended"}) if entry.event == "observed" else entry
        for entry in made.entries
    ]
    return made


def ready(made: Recording, at_ms: float) -> Recording:
    t_ns = T0_NS + round(at_ms * MS)
    made.entries.append(
        Entry(fault="gone", window=0, upstream=made.plan.faults[0].upstreams[0], event="ready", t_ns=t_ns)
    )
    return made


def judged(made: Recording, tmp_path: Path) -> tuple[Results, FaultResult]:
    results = verdict.write(made.write(tmp_path / "run"))
    (fault,) = results.faults
    return results, fault


@pytest.mark.parametrize(("act", "took_ms"), [("kill", 2_500), ("pause", 2_500), ("restart", 62_000 + 2_503)])
def test_proc_and_requests_prove_it(tmp_path: Path, act: ProcessAct, took_ms: float) -> None:
    made = ready(recorded(act), REMOVE_MS + 2_500)
    results, fault = judged(made, tmp_path)
    assert results.verdict == "pass"
    assert (fault.landed, fault.proof.witness, fault.proof.seen) == (True, "process", "process 7 has ended")
    assert fault.proof.ready_after_ms == took_ms
    sent_ms = (made.samples["sent_ns"] - T0_NS) / MS
    assert fault.proof.calls_during == int(((sent_ms >= APPLY_MS) & (sent_ms < REMOVE_MS)).sum())
    assert f"met by {fault.proof.calls_during:,} requests of the load" in witnessed(fault)


def test_what_proc_never_showed_is_a_rig_failure(tmp_path: Path) -> None:
    made = recorded()
    made.entries = [entry for entry in made.entries if entry.event != "observed"]
    results, fault = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    assert "the state of the process was never seen to change" in results.reason
    assert not fault.landed


def test_without_a_request_meanwhile_it_proves_nothing(tmp_path: Path) -> None:
    made = recorded()
    sent_ms = (made.samples["sent_ns"] - T0_NS) / MS
    during = (sent_ms >= APPLY_MS - 1) & (sent_ms < REMOVE_MS + 1)
    made.samples["sent_ns"][during] = T0_NS + round((REMOVE_MS + 2) * MS)
    results, _ = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    assert "no request was sent to the service while `gone` (kill) was active" in results.reason


def test_a_paused_upstream_is_met_by_calls_of_the_service(tmp_path: Path) -> None:
    made = ready(recorded("pause", target="azure"), REMOVE_MS + 100)
    assert judged(made, tmp_path)[0].verdict == "pass"
    t_ms = (made.calls["arrived_ns"] - T0_NS) / MS
    made.calls = made.calls[(made.calls["upstream"] != 0) | (t_ms < APPLY_MS)]
    results, fault = judged(made, tmp_path / "again")
    assert (results.verdict, fault.observed, fault.met) == ("rig_failure", True, False)


@pytest.mark.parametrize("act", ["kill", "pause"])
def test_an_upstream_that_is_not_ready_again_is_a_rig_failure(act: ProcessAct, tmp_path: Path) -> None:
    results, _ = judged(recorded(act, target="azure"), tmp_path)
    assert results.verdict == "rig_failure"
    assert "azure did not get ready again before the load ended" in results.reason
    assert "load.recovery" in results.next


def test_an_upstream_that_was_not_given_the_time_is_none(tmp_path: Path) -> None:
    results, _ = judged(recorded("kill", target="azure").stopped(100_000, "interrupted"), tmp_path)
    assert "ready again" not in results.reason


def test_a_service_that_is_not_ready_again_fails(tmp_path: Path) -> None:
    made = recorded("restart").stopped(60_000, "service_gone")
    death = ProcessExit(child="sut", t_ns=T0_NS + 60_000 * MS, code=0, not_ready_ms=25_000.0, last_line="locked")
    ended = made.manifest.ended
    assert isinstance(ended, RunEnd)
    made.manifest = made.manifest.model_copy(update={"ended": ended.model_copy(update={"deaths": (death,)})})
    results, _ = judged(made, tmp_path)
    assert results.verdict == "fail"
    assert "was not ready again within 25.0 s of the fault on it" in results.reason
    assert "locked" in results.reason


# ---------------------------------------------------------------- readings


def reading(second: float, **unusual: Any) -> dict[str, Any]:
    usual = {"cpu_s": 1.0, "rss_bytes": 80_000_000, "threads": 20, "fds": 40, "sockets": {"ESTABLISHED": 30}}
    return {"t_ns": T0_NS + round(second * 1e9), "child": "sut", "pid": 3, **usual, **unusual}


def finding(text: str, made: Recording, folder: Path) -> Any:
    return parse_gate(text).judge(Pool.of(Evidence.load(made.write(folder))), alpha_fail=0.05)


def measured(made: Recording, from_s: float, to_s: float, **unusual: Any) -> Recording:
    """Readings once a second, none between the two, and an unusual one just before the second."""
    seconds = [second + 0.5 for second in range(-2, 115)]
    made.resources = [reading(second) for second in seconds if not from_s <= second < to_s]
    if unusual:
        made.resources.append(reading(to_s - 0.1, **unusual))
    return made


def test_readings_skip_the_window_and_the_restart(tmp_path: Path) -> None:
    made = measured(ready(recorded(), 99_000), 35, 99, threads=500)
    assert finding("threads < 100", made, tmp_path).verdict == "pass"
    assert finding("threads < 100 during gone", made, tmp_path).verdict == "inconclusive"


def test_readings_that_lack_for_another_reason_leave_a_gap(tmp_path: Path) -> None:
    made = measured(ready(recorded(), 99_000), 35, 106)
    found = finding("threads < 100", made, tmp_path)
    assert found.verdict == "inconclusive"
    assert "there is no reading of the service's threads" in found.reason


def test_what_is_unusual_after_the_restart_counts(tmp_path: Path) -> None:
    made = measured(ready(recorded(), 98_000), 35, 99, threads=500)
    assert finding("threads < 100", made, tmp_path).verdict == "fail"
