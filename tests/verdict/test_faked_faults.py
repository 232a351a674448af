"""Proof of faults that a fake does itself: the canary's answer, and the service's calls in the fake's own records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from harness import verdict
from harness.rundir.canaries import Canary
from harness.rundir.judged.fault_results import FaultResult
from harness.rundir.planned import behaviours
from harness.rundir.planned.behaviours import Behaviour
from harness.rundir.planned.fault import PlannedFault, Proof
from harness.rundir.results import Results
from harness.rundir.rows import FAULT_BITS
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault

MS = 1_000_000


def faked(does: Behaviour, proof: Proof, *, share: float = 1.0) -> PlannedFault:
    changes = {"kind": does.kind, "behaviour": does, "delay_ms": None, "proof": proof, "share": share, "held_ms": 0.0}
    return slow_fault("azure-bad").model_copy(update=changes)


def inside(recording: Recording, column: str = "arrived_ns") -> Any:
    """Azure's calls while the fault stood."""
    (window,) = recording.plan.faults[-1].windows
    t_ms = (recording.calls[column] - T0_NS) / MS
    return (recording.calls["upstream"] == 0) & (t_ms >= window.apply_ms) & (t_ms < window.remove_ms)


def recorded(fault: PlannedFault, *, hit: Callable[[Any], Any], answer: dict[str, Any]) -> Recording:
    """A run in which canaries within the window got `answer`, and the calls chosen by `hit` carry the fault."""
    made = record(make_plan(faults=[fault], gates=("errors < 1%",)), fault_works=False)
    (window,) = fault.windows
    index = made.plan.faults.index(fault)
    chosen = np.flatnonzero(inside(made))
    made.calls["faults"][hit(chosen)] |= 1 << index

    def met(line: Any) -> Any:
        if isinstance(line, Canary) and window.apply_ms <= (line.sent_ns - T0_NS) / MS < window.remove_ms:
            return line.model_copy(update=answer)
        return line.model_copy(update={"status": 200, "looks": "offers"}) if isinstance(line, Canary) else line

    made.canaries = [met(line) for line in made.canaries]
    return made


def judged(made: Recording, tmp_path: Path) -> Results:
    return verdict.write(made.write(tmp_path / "run"))


def the_fault(results: Results) -> FaultResult:
    (result,) = results.faults
    return result


Looks = Literal["no_json", "no_offers"]
STATUS = faked(behaviours.Status(status=503), Proof(kind="answered", status=503))


def everyone(chosen: Any) -> Any:
    return chosen


def nobody(chosen: Any) -> Any:
    return chosen[:0]


@pytest.mark.parametrize(
    ("does", "proof", "answer", "seen"),
    [
        (
            behaviours.Status(status=503),
            Proof(kind="answered", status=503),
            {"status": 503, "outcome": "failed"},
            "met status 503",
        ),
        (
            behaviours.Malformed(),
            Proof(kind="answered", status=200, looks="no_json"),
            {"status": 200, "looks": "no_json"},
            "met bodies that are no JSON",
        ),
        (
            behaviours.Empty(),
            Proof(kind="answered", status=200, looks="no_offers"),
            {"status": 200, "looks": "no_offers"},
            "met answers without an offer",
        ),
        (
            behaviours.Huge(size_bytes=9_000_000),
            Proof(kind="answered", status=200, least_bytes=4_000_000),
            {"status": 200, "bytes": 5_000_000},
            "met bodies of 4 MB and more",
        ),
        (
            behaviours.Truncate(keep=0.5),
            Proof(kind="failed"),
            {"outcome": "failed", "detail": "cut short"},
            "failed: cut",
        ),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else "",
)
def test_a_fault_that_was_met_is_proven_with_what_and_how_much_and_when(
    tmp_path: Path, does: Behaviour, proof: Proof, answer: dict[str, Any], seen: str
) -> None:
    results = judged(recorded(faked(does, proof), hit=everyone, answer=answer), tmp_path)
    fault = the_fault(results)
    assert fault.landed
    assert fault.proof.seen.startswith(seen)
    assert fault.proof.canaries_showing == fault.proof.canaries_during > 100
    assert fault.proof.calls_hit == fault.proof.calls_during
    assert fault.proof.calls_during is not None and fault.proof.calls_during > 2000
    (window,) = fault.windows
    times = (window.requested_ms, window.applied_ms, window.observed_ms, window.last_observed_ms, window.removed_ms)
    assert None not in times
    assert window.applied_ms == pytest.approx(35_000, abs=50)
    assert window.last_observed_ms == pytest.approx(97_000, abs=600)
    assert results.verdict == "pass"


def test_canaries_that_met_another_answer_are_no_proof(tmp_path: Path) -> None:
    results = judged(recorded(STATUS, hit=everyone, answer={"status": 500, "outcome": "failed"}), tmp_path)
    assert results.verdict == "rig_failure"
    assert "no canary to azure met status 503" in results.reason


def test_a_fault_that_broke_no_call_of_those_that_came_is_no_proof(tmp_path: Path) -> None:
    rare = STATUS.model_copy(update={"share": 0.01})
    results = judged(recorded(rare, hit=nobody, answer={"status": 503, "outcome": "failed"}), tmp_path)
    assert results.verdict == "rig_failure"
    assert "broke none of the" in results.reason


def test_a_share_is_told_by_the_calls_it_hit(tmp_path: Path) -> None:
    rare = STATUS.model_copy(update={"share": 0.1})
    answer = {"status": 503, "outcome": "failed"}
    proof = the_fault(judged(recorded(rare, hit=lambda chosen: chosen[::10], answer=answer), tmp_path)).proof
    assert proof.calls_hit is not None and proof.calls_during is not None
    assert proof.calls_hit == pytest.approx(proof.calls_during / 10, abs=1)


def test_calls_that_never_came_meet_no_fault(tmp_path: Path) -> None:
    made = recorded(STATUS, hit=nobody, answer={"status": 503, "outcome": "failed"})
    made.calls = made.calls[~inside(made)]
    results = judged(made, tmp_path)
    fault = the_fault(results)
    assert results.verdict == "rig_failure"
    assert (fault.observed, fault.met, fault.landed) == (True, False, False)
    assert (fault.proof.calls_hit, fault.proof.calls_during) == (0, 0)


def test_a_breaker_that_opened_after_one_call_has_met_the_fault(tmp_path: Path) -> None:
    made = recorded(STATUS, hit=lambda chosen: chosen[:1], answer={"status": 503, "outcome": "failed"})
    made.calls = made.calls[~inside(made) | (made.calls["faults"] > 0)]
    fault = the_fault(judged(made, tmp_path))
    assert fault.landed
    assert (fault.proof.calls_hit, fault.proof.calls_during) == (1, 1)


CAPACITY = faked(behaviours.Capacity(limit=5), Proof(kind="called"))


def test_a_capacity_is_proven_by_the_calls_that_had_to_wait(tmp_path: Path) -> None:
    results = judged(recorded(CAPACITY, hit=lambda chosen: chosen[:7], answer={}), tmp_path)
    fault = the_fault(results)
    assert fault.landed
    assert (fault.proof.witness, fault.proof.calls_hit, fault.proof.seen) == ("calls", 7, "had to wait in the queue")
    (window,) = fault.windows
    assert window.observed_ms is not None and window.observed_ms >= 35_000


def test_a_capacity_that_nobody_felt_is_no_proof(tmp_path: Path) -> None:
    results = judged(recorded(CAPACITY, hit=nobody, answer={}), tmp_path)
    assert results.verdict == "rig_failure"
    assert "never delayed a call" in results.reason


@pytest.mark.parametrize(("showing", "landed"), [(2, True), (1, False)])
def test_of_what_passes_two_held_canaries_are_enough(tmp_path: Path, showing: int, landed: bool) -> None:
    passing = faked(behaviours.ColdStart(up_after_ms=2000), Proof(kind="held", least_ms=1000, passing=True))
    made = recorded(passing, hit=everyone, answer={})
    first = [
        n for n, line in enumerate(made.canaries) if isinstance(line, Canary) and line.sent_ns > T0_NS + 35_100 * MS
    ]
    for number in first[:showing]:
        line = made.canaries[number]
        assert isinstance(line, Canary)
        made.canaries[number] = line.model_copy(update={"done_ns": line.sent_ns + 1500 * MS})
    assert the_fault(judged(made, tmp_path)).landed is landed


def test_a_bit_is_the_faults_place_in_the_plan(tmp_path: Path) -> None:
    """Another fault's bit proves nothing of this one, and the 32nd has the last bit."""
    faults = [
        STATUS.model_copy(update={"name": f"f{number}", "windows": slow_fault(apply_ms=35_000).windows})
        for number in range(FAULT_BITS)
    ]
    made = record(make_plan(faults=faults, gates=("errors < 1%",)), fault_works=False)
    made.calls["faults"][inside(made)] = 1 << (FAULT_BITS - 1)
    results = judged(made, tmp_path)
    assert [bool(fault.proof.calls_hit) for fault in results.faults] == [False] * (FAULT_BITS - 1) + [True]


@pytest.mark.parametrize("status", [400, 404, 405])
def test_a_service_that_asks_for_what_its_fakes_do_not_have_proves_nothing(tmp_path: Path, status: int) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=("errors < 50%",)), policy="timeout")
    made.calls["status"][made.calls["upstream"] == 0] = status
    results = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    assert f"every call of the service to azure was answered {status}" in results.reason
    made.calls["status"][np.flatnonzero(made.calls["upstream"] == 0)[0]] = 200
    assert judged(made, tmp_path).verdict == "pass"
