"""Mistakes about what proves a fault, its removal and the rows of a run: each is really made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.evidence.meetings import FaultContact
from harness.rundir.manifest import RunEnd
from harness.rundir.planned.behaviours import Late
from harness.rundir.planned.fault import PlannedToxic
from harness.rundir.rows import BrokenRows, read_rows
from harness.units import NS_PER_MS
from tests.rundir.recording import T0_NS, Recording, down_fault, make_plan, record, slow_fault
from tests.verdict.mutant import Mutant, Patch, swap


def lying_toxiproxy() -> Recording:
    return record(make_plan(faults=[slow_fault()], gates=["p99 < 1s during azure-slow"]), fault_works=False)


def around_the_proxy() -> Recording:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 1s during azure-slow"])
    made = record(plan, fault_reaches_service=False)
    made.canaries = [line for line in made.canaries if line.kind != "connections"]
    return made


def _without_calls_during(made: Recording) -> Recording:
    """As if a cache had answered while the fault stood."""
    (fault,) = made.plan.faults
    (window,) = fault.windows
    t_ms = (made.calls["arrived_ns"] - T0_NS) / NS_PER_MS
    made.calls = made.calls[(made.calls["upstream"] != 0) | (t_ms < window.apply_ms) | (t_ms >= window.remove_ms)]
    return made


def a_cache_answered() -> Recording:
    made = record(make_plan(faults=[slow_fault()], gates=["p99 < 3s during azure-slow"]), policy="timeout")
    return _without_calls_during(made)


def a_cache_hid_a_fake() -> Recording:
    fault = slow_fault().model_copy(update={"behaviour": Late(latency_ms=60_000, jitter_ms=0), "delay_ms": None})
    made = record(make_plan(faults=[fault], gates=["p99 < 3s during azure-slow"]), policy="timeout")
    return _without_calls_during(made)


def idle_connections() -> Recording:
    """A toxic on the requests, and a pool whose connections stand since before."""
    toxic = PlannedToxic(type="latency", stream="upstream", attributes={"latency": 60_000})
    fault = slow_fault().model_copy(update={"toxics": (toxic,)})
    made = record(make_plan(faults=[fault], gates=["p99 < 3s during azure-slow"]), policy="timeout")
    return _without_calls_during(made)


def nobody_tried_to_connect() -> Recording:
    made = record(make_plan(faults=[down_fault()], gates=["p99 < 3s during azure-down"]))
    made.canaries = [line for line in made.canaries if line.kind != "refused"]
    return made


def not_rolled_back() -> Recording:
    made = record(make_plan(faults=[slow_fault()], gates=["p99 < 1.5s during azure-slow"]), policy="timeout")
    made.manifest = made.manifest.model_copy(update={"ended": RunEnd(reason="done", rollback_verified=False)})
    return made


def applied_late() -> Recording:
    made = record(make_plan(faults=[slow_fault(apply_ms=45_000, remove_ms=97_000)], guard_ms=2_000))
    made.plan = make_plan(faults=[slow_fault(apply_ms=35_000)], gates=["errors < 90% during azure-slow"])
    return made


def a_lost_row() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"]))
    made.samples = np.delete(made.samples, 100)
    return made


def _no_digest(path: Path, layout: Any, *, verify: bool = True) -> Any:
    try:
        return read_rows(path, layout, verify=verify)
    except BrokenRows:
        return read_rows(path, layout, verify=False)


def _all_ok(check: str) -> Patch:
    def patch_it(patch: pytest.MonkeyPatch) -> None:
        from harness.verdict.validity import rig_findings

        def kind(run: Evidence, landings: Any) -> Any:
            return tuple(replace(f, ok=True) if f.check == check else f for f in rig_findings(run, landings))

        patch.setattr("harness.verdict.judging.rig_findings", kind)

    return patch_it


def _canary_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("harness.verdict.faults.proof.unmet", lambda *_: None)


def _calls_at_any_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FaultContact, "happened", property(lambda meeting: bool(meeting.calls_outside.total)))


def _none_of_none_is_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FaultContact, "happened", property(lambda meeting: meeting.hit == meeting.calls))


def _standing_connections(run: Evidence, upstream: str, _spans: Any) -> int:
    return sum(line.count or 0 for line in run.canaries if line.kind == "connections" and line.upstream == upstream)


MUTANTS = (
    Mutant(
        "the plan's windows for the journal's",
        applied_late,
        swap("harness.evidence.run.real_windows", lambda *_, **__: {}),
        right="fail",
        wrong="inconclusive",
    ),
    Mutant("a fault believed without proof", lying_toxiproxy, _all_ok("faults"), right="rig_failure", wrong="pass"),
    Mutant("the canary believed alone", around_the_proxy, _canary_alone, right="rig_failure", wrong="pass"),
    Mutant("calls before the window count", a_cache_answered, _calls_at_any_time, right="rig_failure", wrong="pass"),
    Mutant("0 of 0 is proven", a_cache_hid_a_fake, _none_of_none_is_all, right="rig_failure", wrong="pass"),
    Mutant(
        "connections that stood before count",
        idle_connections,
        swap("harness.evidence.meetings._connections", _standing_connections),
        right="rig_failure",
        wrong="pass",
    ),
    Mutant(
        "a listener that was shut is taken for a call refused",
        nobody_tried_to_connect,
        swap("harness.evidence.meetings._refused", lambda *_: (1, "")),
        right="rig_failure",
        wrong="pass",
    ),
    Mutant("lost rows forgiven", a_lost_row, _all_ok("counts"), right="rig_failure", wrong="pass"),
    Mutant("an unverified rollback forgiven", not_rolled_back, _all_ok("rollback"), right="rig_failure", wrong="pass"),
)


def test_footers_not_read_is_a_mistake_too(tmp_path: Path) -> None:
    run_dir = record(make_plan(gates=["p99 < 1s"])).write(tmp_path)
    (run_dir / "calls-0.bin").write_bytes((run_dir / "calls-0.bin").read_bytes()[:-100])
    assert verdict.judge(Evidence.load(run_dir)).verdict == "rig_failure"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.evidence.files.read_rows", _no_digest)
        assert verdict.judge(Evidence.load(run_dir)).verdict == "pass"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_the_mistake_changes_a_verdict(mutant: Mutant, tmp_path: Path) -> None:
    mutant.changes_a_verdict(tmp_path)
