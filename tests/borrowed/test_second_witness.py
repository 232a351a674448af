"""A fault on a proxy whose connections this machine may not see: what stands in for them, and in which order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import verdict
from harness.rundir.canaries import Canary, Connections, Refused, Traffic
from harness.rundir.judged.fault_results import FaultResult
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.results import Results
from harness.rundir.rows import Outcome
from tests.rundir.recording import T0_NS, Recording, down_fault, make_plan, record, slow_fault

MS = 1_000_000
URL = "http://127.0.0.1:8474"
FAULT_MS = (35_000, 97_000)


def made_up(fault: PlannedFault | None = None, *, gates: list[str] | None = None, url: str | None = URL) -> Recording:
    """A run in which azure is a borrowed proxy, and nothing but canaries shows the fault."""
    fault = fault or slow_fault()
    made = record(make_plan(faults=[fault], gates=gates or [f"errors < 50% during {fault.name}"]), policy="timeout")
    azure, *others = made.plan.upstreams
    borrowed: PlannedUpstream = azure.model_copy(update={"fake": None, "kind": "borrowed", "borrowed": "legacy_api"})
    made.plan = made.plan.model_copy(update={"toxiproxy_url": url, "upstreams": (borrowed, *others)})
    made.calls = made.calls[made.calls["upstream"] != 0]
    made.canaries = [line for line in made.canaries if not isinstance(line, Connections | Refused)]
    made.canaries += [
        Connections(upstream="azure", t_ns=at(ms), since_ns=at(ms - 1000), count=0) for ms in range(1_000, 99_000, 1000)
    ]
    # the service does not show the fault either, unless a test says so
    made.samples["done_ns"] = np.where(
        made.samples["done_ns"] - made.samples["intended_ns"] > 300 * MS,
        made.samples["intended_ns"] + 120 * MS,
        made.samples["done_ns"],
    )
    made.samples["outcome"] = Outcome.OK
    made.samples["status"] = 200
    return made


def at(ms: float) -> int:
    return T0_NS + round(ms * MS)


def during(made: Recording) -> np.ndarray:
    t_ms = (made.samples["intended_ns"] - T0_NS) / MS
    inside: np.ndarray = (t_ms >= FAULT_MS[0]) & (t_ms < FAULT_MS[1])
    return inside


def judged(made: Recording, folder: Path) -> tuple[Results, FaultResult]:
    results = verdict.write(made.write(folder / "run"))
    (fault,) = results.faults
    return results, fault


def counted(made: Recording, *pairs: tuple[int, int]) -> None:
    made.canaries += [Traffic(upstream="azure", t_ns=at(ms), received_bytes=count) for ms, count in pairs]


def test_with_canaries_alone_the_gates_are_undecided_and_the_run_is_no_rig_failure(tmp_path: Path) -> None:
    results, fault = judged(made_up(), tmp_path)
    assert (results.verdict, results.exit_code) == ("inconclusive", 3)
    assert (fault.observed, fault.met, fault.landed) == (True, False, False)
    assert "the proxy is borrowed" in fault.proof.one_witness
    (gate,) = [gate for gate in results.gates if gate.id == "gate-1"]
    assert gate.kind == "one_witness"
    assert "it is unknown whether the service met azure-slow" in gate.reason
    assert "-proxy-metrics" in results.next
    assert results.never_asked == ()


def test_with_a_toxiproxy_of_the_runs_own_the_same_is_a_rig_failure(tmp_path: Path) -> None:
    results, fault = judged(made_up(url=None), tmp_path)
    assert results.verdict == "rig_failure"
    assert fault.proof.one_witness == ""


def test_a_connection_that_was_seen_is_the_first_witness(tmp_path: Path) -> None:
    made = made_up()
    made.canaries.append(Connections(upstream="azure", t_ns=at(41_000), since_ns=at(40_000), count=1, new=1))
    counted(made, (40_000, 0), (90_000, 10_000_000))
    results, fault = judged(made, tmp_path)
    assert (results.verdict, fault.landed) == ("pass", True)
    assert (fault.proof.connections_during, fault.proof.traffic_bytes) == (1, None)


def test_bytes_beyond_those_of_canaries_are_the_second(tmp_path: Path) -> None:
    made = made_up()
    made.canaries = [
        line.model_copy(update={"sent_bytes": 100}) if isinstance(line, Canary) else line for line in made.canaries
    ]
    inside = [line for line in made.canaries if isinstance(line, Canary) and line.upstream == "azure"]
    own = 100 * sum(at(39_000) <= line.done_ns <= at(91_000) for line in inside)
    assert own
    enough = (40_000, 5_000), (90_000, 5_001 + own)
    counted(made, *enough)
    _, fault = judged(made, tmp_path)
    assert (fault.landed, fault.proof.traffic_bytes) == (True, 1)
    made.canaries = [line for line in made.canaries if not isinstance(line, Traffic)]
    counted(made, (40_000, 5_000), (90_000, 5_000 + own))
    results, fault = judged(made, tmp_path)
    assert (results.verdict, fault.proof.traffic_bytes) == ("inconclusive", 0)


@pytest.mark.parametrize(
    "pairs",
    [((1_000, 0), (30_000, 10**7)), ((96_000, 0), (99_000, 10**7)), ((40_000, 10**7), (90_000, 0))],
    ids=["before it", "one reading inside", "the server was restarted"],
)
def test_bytes_of_other_times_show_nothing(tmp_path: Path, pairs: tuple[tuple[int, int], tuple[int, int]]) -> None:
    made = made_up()
    counted(made, *pairs)
    assert judged(made, tmp_path)[0].verdict == "inconclusive"


@pytest.mark.parametrize(("moved_ms", "shows"), [(900, False), (1_200, True)])
def test_requests_that_are_slower_by_a_second_are_the_third(tmp_path: Path, moved_ms: int, shows: bool) -> None:
    made = made_up()
    made.samples["done_ns"][during(made)] += moved_ms * MS
    results, fault = judged(made, tmp_path)
    assert fault.landed is shows
    assert results.verdict == ("pass" if shows else "inconclusive")
    assert bool(fault.proof.in_requests) is shows


@pytest.mark.parametrize(("every", "shows"), [(400, False), (10, True)])
def test_requests_that_fail_beyond_the_baselines_bound_are_the_third_too(
    tmp_path: Path, every: int, shows: bool
) -> None:
    made = made_up(down_fault(name="azure-slow", apply_ms=FAULT_MS[0], remove_ms=FAULT_MS[1]))
    failing = np.flatnonzero(during(made))[::every]
    made.samples["outcome"][failing] = Outcome.HTTP_ERROR
    made.samples["status"][failing] = 502
    _, fault = judged(made, tmp_path)
    assert fault.observed
    assert fault.landed is shows


def test_a_fault_that_need_not_be_met_leaves_its_gates_decided(tmp_path: Path) -> None:
    optional = slow_fault().model_copy(update={"met": "optional"})
    results, fault = judged(made_up(optional), tmp_path)
    assert results.verdict == "pass"
    assert "it is unknown whether the service met azure-slow" in fault.note
    assert "undecided" not in fault.note


def test_gates_on_other_times_are_decided_as_ever(tmp_path: Path) -> None:
    gates = ["errors < 50% during azure-slow", "errors < 50% during baseline", "errors < 50%", "p99 < 1ms"]
    results, _ = judged(made_up(gates=gates), tmp_path)
    assert [gate.verdict for gate in results.gates][:4] == ["inconclusive", "pass", "inconclusive", "fail"]
    assert results.verdict == "fail"
