"""What a load of a frontier search says, beyond a load of any search, of recordings that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from harness.evidence import Evidence
from harness.rundir.canaries import Canary, Connections
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import PlannedFault, PlannedToxic
from harness.rundir.rows import Outcome
from harness.rundir.searches.frontier import FrontierKind, FrontierStep
from harness.search.frontier.level_step import frontier_step
from harness.search.level_search import WantedLoad
from harness.search.stack_loads import LoadRun
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.search.frontier.test_level_loads import loads_of

EXPLORE = WantedLoad("explore", 500)
REPEATED = WantedLoad("explore", 500, pooled=1)
SOAK = WantedLoad("soak", 500, alpha=0.05)
GATE = "p99 < 2s"
BACK = "recovery < 15s after azure-slow"


def judged(
    made: Recording,
    folder: Path,
    wanted: WantedLoad | None = EXPLORE,
    *,
    kind: FrontierKind = "latency",
    before: Sequence[Evidence] = (),
) -> tuple[FrontierStep, Evidence]:
    run = LoadRun(made.write(folder / "load-000"), None)
    return frontier_step(run, loads_of(folder, kind), wanted, wanted.purpose if wanted else "return", before)


def step_of(
    made: Recording, folder: Path, wanted: WantedLoad | None = EXPLORE, *, kind: FrontierKind = "latency"
) -> FrontierStep:
    return judged(made, folder, wanted, kind=kind)[0]


def slow(*, reaches: bool = True, works: bool = True, gate: str = GATE, seconds: int = 24) -> Recording:
    """A load of `seconds` during which azure's answers come half a second later all the time."""
    toxic = PlannedToxic(type="latency", stream="downstream", attributes={"latency": 500})
    fault = slow_fault(apply_ms=-1_000, remove_ms=1_000.0 * seconds + 8_000, delay_ms=500)
    fault = fault.model_copy(update={"toxics": (toxic,), "met": "optional"})
    plan = make_plan(duration_ms=1_000 * seconds, gates=(gate,), guard_ms=0, faults=[fault], gateway_timeout_ms=5_000)
    return record(plan, policy="timeout", deadline_ms=2_000, fault_reaches_service=reaches, fault_works=works)


def gone(*, baseline_fails: bool = False) -> Recording:
    """A load with an outage of 10 s from second 20 on, after which the service is as fast as before."""
    fault = slow_fault(apply_ms=20_000, remove_ms=30_000).model_copy(update={"met": "optional"})
    made = record(make_plan(duration_ms=60_000, gates=(BACK,), faults=[fault]))
    if baseline_fails:
        t_ms = (made.samples["intended_ns"] - T0_NS) / 1e6
        rows = np.flatnonzero((t_ms < 18_000) & (made.samples["seq"] % 4 == 0))
        made.samples["outcome"][rows], made.samples["status"][rows] = Outcome.HTTP_ERROR, 500
    return made


def without_calls_from_the_fault_on(made: Recording) -> Recording:
    """The service has answers of azure by then, and asks for no more."""
    before = made.calls["arrived_ns"] < T0_NS - 1_000 * 10**6
    made.calls = made.calls[(made.calls["upstream"] != 0) | before]
    return made


def rising(made: Recording, to_ms: float) -> Recording:
    """Its requests take longer and longer, by `to_ms` at the end."""
    t_ms = (made.samples["intended_ns"] - T0_NS) / made.plan.load.duration_ms / 1e6
    made.samples["done_ns"] += (np.clip(t_ms, 0, 1) * to_ms * 1e6).astype(np.int64)
    return made


def failing_share(*, met: bool, calls: bool = True) -> Recording:
    """Azure answers a small share of the calls with 503."""
    fault = PlannedFault(
        **{
            **slow_fault(apply_ms=-1_000, remove_ms=32_000, delay_ms=500).model_dump(),
            "name": "azure-errors", "kind": "status", "text": "status 503", "share": 0.001, "delay_ms": None,
            "met": "optional", "behaviour": behaviours.Status(status=503), "proof": {"kind": "answered", "status": 503},
        }
    )  # fmt: skip
    made = record(make_plan(duration_ms=24_000, gates=(GATE,), guard_ms=0, faults=[fault]), fault_works=False)
    of_azure = made.calls["upstream"] == 0
    made.calls["faults"] = 0
    failed = {"status": 503, "outcome": "failed", "detail": "status 503"}
    made.canaries = [
        line.model_copy(update=failed) if isinstance(line, Canary) and line.sent_ns > T0_NS - 10**9 else line
        for line in made.canaries
    ]
    if met:
        made.calls["faults"][np.flatnonzero(of_azure)[200]] = 1
    if not calls:
        made.calls = made.calls[~of_azure]
    return made


def test_an_outage_whose_end_nobody_could_see_on_a_busy_machine_says_nothing(tmp_path: Path) -> None:
    """As with a real upstream on this machine: what that uses cannot be told from what others use."""

    def after(folder: str, from_s: int, to_s: int, others_s: float) -> FrontierStep:
        made = gone().slowed(30_000, 60_000, 900).beside(from_s, to_s, others_s=others_s, waited_s=0.0, used_s=0.2)
        return step_of(made, tmp_path / folder, SOAK, kind="outage")

    busy = after("busy", 30, 61, 1.5)
    assert busy.outcome == "generator"
    assert busy.reason == "no core was idle, and what is no part of the run used 1.5 of 2"
    assert after("before", 0, 28, 1.5).outcome == "broke"
    assert after("some", 30, 61, 0.8).outcome == "broke", "a core was idle"
    assert step_of(gone().slowed(30_000, 60_000, 900), tmp_path / "unknown", SOAK, kind="outage").outcome == "broke"


def test_a_level_is_no_rate(tmp_path: Path) -> None:
    step = step_of(slow(), tmp_path)
    assert (step.outcome, step.level, step.rate_per_s, step.alpha) == ("held", 500, 40, None), step.reason
    assert step.fault_met and step.fault_seen.startswith("held up to") and step.unmet is None
    well = step_of(record(make_plan(duration_ms=12_000, gates=(GATE,))), tmp_path / "well", None)
    assert (well.outcome, well.level, well.fault_met, well.fault_seen) == ("held", None, None, "")


def test_a_queue_that_may_be_chance_breaks_the_load_that_repeats_one(tmp_path: Path) -> None:
    first, evidence = judged(rising(slow(), 1_000), tmp_path)
    assert (first.outcome, first.stationary) == ("undecided", False), first.reason
    again, _ = judged(rising(slow(), 1_000), tmp_path / "again", REPEATED, before=(evidence,))
    assert (again.outcome, again.stationary) == ("broke", False), again.reason


def test_an_outage_is_decided_by_its_gate_in_every_load_and_is_not_steady(tmp_path: Path) -> None:
    step = step_of(gone(), tmp_path, kind="outage")
    assert (step.outcome, step.reason, step.alpha) == ("held", "every gate passed", None)
    assert [gate.verdict for gate in step.gates] == ["pass"]


def test_an_undecided_outage_says_why(tmp_path: Path) -> None:
    step = step_of(gone(baseline_fails=True), tmp_path, kind="outage")
    assert step.outcome == "undecided"
    assert step.reason == (
        f"`{BACK}` is undecided: the baseline itself has more than 10 % errors: there is nothing to return to"
    )


def test_an_outage_is_judged_alone_however_the_first_one_ended(tmp_path: Path) -> None:
    first, evidence = judged(gone(baseline_fails=True), tmp_path, kind="outage")
    again, _ = judged(gone(), tmp_path / "again", REPEATED, kind="outage", before=(evidence,))
    assert (first.outcome, again.outcome) == ("undecided", "held"), again.reason


@pytest.mark.parametrize("wanted", [EXPLORE, SOAK], ids=str)
@pytest.mark.parametrize("gate", [GATE, "p99 < 100ms"])
def test_a_load_without_any_call_to_the_upstream_says_nothing_whether_its_gates_hold_or_not(
    tmp_path: Path, wanted: WantedLoad, gate: str
) -> None:
    made = slow(gate=gate)
    made.calls = made.calls[made.calls["upstream"] != 0]
    step = step_of(made, tmp_path, wanted)
    assert (step.outcome, step.fault_met) == ("undecided", False)
    assert step.unmet == "no call of the service reached azure"
    assert step.reason.startswith("fault `azure-slow` was active on azure's proxy, but no call of the service reached")


def test_calls_before_the_fault_alone_do_not_meet_it(tmp_path: Path) -> None:
    step = step_of(without_calls_from_the_fault_on(slow()), tmp_path)
    assert (step.outcome, step.unmet) == ("undecided", "no call of the service reached azure while the fault stood")


def test_what_nothing_sees_is_not_said_to_be_missing(tmp_path: Path) -> None:
    made = slow(reaches=False)
    azure, *others = made.plan.upstreams
    unseen = azure.model_copy(update={"kind": "real", "fake": None, "observe": False})
    made.plan = made.plan.model_copy(update={"upstreams": (unseen, *others)})
    made.canaries += [
        Connections(t_ns=T0_NS + at * 10**9, since_ns=T0_NS + (at - 1) * 10**9, upstream="azure", count=3, new=0)
        for at in range(1, 20)
    ]
    step = step_of(made, tmp_path)
    assert step.unmet == "no call of the service met the fault, or nothing shows that one did", step


def test_at_a_small_share_a_short_load_may_hit_no_call_and_a_certificate_must(tmp_path: Path) -> None:
    explored = step_of(failing_share(met=False), tmp_path, kind="errors")
    assert (explored.outcome, explored.fault_met, explored.unmet) == ("held", False, None), explored.reason
    soak = step_of(failing_share(met=False), tmp_path / "soak", SOAK, kind="errors")
    assert (soak.outcome, soak.fault_met) == ("undecided", False)
    assert soak.unmet == soak.reason == "no call of the service met the fault, or nothing shows that one did"
    assert step_of(failing_share(met=True), tmp_path / "met", kind="errors").fault_met
    unasked = step_of(failing_share(met=False, calls=False), tmp_path / "unasked", kind="errors")
    assert (unasked.outcome, unasked.unmet) == ("undecided", "no call of the service reached azure")


def test_a_fault_that_did_nothing_and_a_machine_that_gave_out_say_nothing_of_the_level(tmp_path: Path) -> None:
    idle = step_of(slow(works=False), tmp_path)
    assert (idle.outcome, idle.unmet) == ("generator", None), idle.reason
    busy = without_calls_from_the_fault_on(slow(gate="p99 < 100ms")).beside(2, 22)
    step = step_of(busy, tmp_path / "busy")
    assert (step.outcome, step.unmet, step.fault_met) == ("generator", None, False), step.reason
