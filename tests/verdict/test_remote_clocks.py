"""What a judge makes of a run whose workers were on other machines, by how well their clocks are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.rundir.finding_kind import FindingKind
from harness.rundir.phases import planned_phases
from harness.rundir.planned.load import RemoteWorkers
from harness.rundir.planned.upstream import Endpoint
from harness.rundir.remote.clocks import FILE, ClockLog, ClockReading
from harness.rundir.results import Results
from harness.units import NS_PER_MS, NS_PER_S
from harness.verdict.likeness import plan_differences
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault

GATES = ("p99 < 3s during azure-slow", "p99 < 3s", "recovery < 15s after azure-slow")


def remote(gates: Sequence[str] = GATES, workers: int = 3) -> Recording:
    made = record(make_plan(faults=[slow_fault()], gates=list(gates)), policy="timeout")
    load = made.plan.load.model_copy(
        update={"workers": workers, "remote": RemoteWorkers(listen=Endpoint(port=1), token_file="/t/token")}
    )
    made.plan = made.plan.model_copy(update={"load": load})
    return made


def write(made: Recording, run_dir: Path, *, unsure_ms: float = 0.1, jump_ms: float = 0.0, lost: int = -1) -> Path:
    """With an exchange a second for each worker but `lost`, whose offset is that of the rows: it was subtracted."""
    made.write(run_dir)
    log = ClockLog(run_dir)
    first_s = T0_NS // NS_PER_S - 20
    for worker in set(range(made.plan.load.workers)) - {lost}:
        reading = ClockReading(
            worker=worker, host="b", when="applied", t_ns=T0_NS, offset_ns=worker * NS_PER_S, uncertainty_ns=0
        )
        log.add(reading)
        for second in range(first_s, first_s + 250):
            jump_ns = round(jump_ms * NS_PER_MS) if second > first_s + 100 else 0
            log.add(
                reading.model_copy(
                    update={
                        "when": "during",
                        "t_ns": second * NS_PER_S,
                        "offset_ns": worker * NS_PER_S + jump_ns,
                        "uncertainty_ns": round(unsure_ms * NS_PER_MS),
                    }
                )
            )
    log.close()
    return run_dir


def judged(run_dir: Path) -> Results:
    return verdict.judge(Evidence.load(run_dir))


def detail(results: Results, check: str) -> str:
    return next(one.detail for one in results.validity if one.check == check)


def test_with_good_clocks_the_verdict_is_that_of_workers_on_this_machine(tmp_path: Path) -> None:
    near = remote()
    near.plan = near.plan.model_copy(update={"load": near.plan.load.model_copy(update={"remote": None})})
    at_home, far = judged(near.write(tmp_path / "near")), judged(write(remote(), tmp_path / "far"))
    assert far.verdict == at_home.verdict == "pass"
    for one, other in zip(far.gates, at_home.gates, strict=True):
        assert one.verdict == other.verdict and abs(one.n - other.n) <= 2
    assert "on other machines, whose clocks are known to" in detail(far, "workers")


def test_borders_move_by_what_is_unknown(tmp_path: Path) -> None:
    evidence = Evidence.load(write(remote(), tmp_path, unsure_ms=40))
    unsure_ms = evidence.clock_uncertainty_ns / NS_PER_MS
    assert 40 <= unsure_ms < 41
    exact = {phase.name: phase for phase in planned_phases(evidence.plan)}
    for phase in evidence.phases:
        if phase.name in ("baseline", "whole", "warmup"):
            assert phase.start_ms == pytest.approx(exact[phase.name].start_ms + unsure_ms, abs=60)
            assert phase.end_ms <= exact[phase.name].end_ms - unsure_ms + 60
    fault = evidence.phase("azure-slow")
    (injection,) = evidence.journalled
    assert injection.removing_ns is not None
    removed_ms = (injection.removing_ns - evidence.t0_ns) / NS_PER_MS
    assert fault.end_ms == pytest.approx(removed_ms - 2_000 - 2 * unsure_ms)  # H is longer by it, and the border moves


def test_a_recovery_may_have_taken_twice_that_longer(tmp_path: Path) -> None:
    exact = judged(write(remote(), tmp_path / "a", unsure_ms=0.01)).gates[2].observed
    unsure = judged(write(remote(), tmp_path / "b", unsure_ms=40)).gates[2].observed
    assert exact is not None and unsure is not None
    assert unsure - exact == pytest.approx(80, abs=2)


def test_clocks_that_are_known_too_badly_decide_nothing_on_phases(tmp_path: Path) -> None:
    made = remote()
    limit_ms = made.plan.guard_ms / 10
    results = judged(write(made, tmp_path / "bad", unsure_ms=limit_ms + 1))
    assert results.verdict == "inconclusive"
    assert [(one.verdict, one.kind == FindingKind.CLOCKS_UNSURE) for one in results.gates[:3]] == [
        ("inconclusive", True),
        ("pass", False),
        ("inconclusive", True),
    ]
    assert "the workers' clocks are known to 201 ms only, which is more than a tenth of the guard of 2.00 s" in (
        results.reason
    )
    assert results.next == "Use workers with a better network to this machine, or write a longer `load.guard`."
    assert judged(write(remote(), tmp_path / "good", unsure_ms=limit_ms - 2)).verdict == "pass"


def test_a_clock_that_jumped_or_is_unknown_is_a_rig_failure(tmp_path: Path) -> None:
    jumped = judged(write(remote(), tmp_path / "a", jump_ms=50))
    assert (jumped.verdict, "the clock of worker 1 (b) jumped" in jumped.reason) == ("rig_failure", True)
    unknown = judged(write(remote(), tmp_path / "b", lost=1))
    assert unknown.verdict == "rig_failure"
    assert f"{FILE} does not say how the clock of worker 2 compares with ours" in unknown.reason


def test_a_run_is_replayed_with_its_workers_elsewhere(tmp_path: Path) -> None:
    replay = judged(write(remote(), tmp_path)).replay
    assert replay.endswith("--expect-workers 3 --listen 127.0.0.1:1 --token-file token")


def test_two_runs_at_different_addresses_are_alike_and_one_with_workers_here_is_not() -> None:
    far = remote().plan
    moved = RemoteWorkers(listen=Endpoint(host="0.0.0.0", port=9), token_file="/other/token", join_within_ms=1)
    elsewhere = far.model_copy(update={"load": far.load.model_copy(update={"remote": moved})})
    assert plan_differences(far, elsewhere) == ()
    here = far.model_copy(update={"load": far.load.model_copy(update={"remote": None})})
    assert [difference.path for difference in plan_differences(far, here)] == ["load.remote"]
