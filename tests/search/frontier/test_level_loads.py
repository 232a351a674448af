"""The loads of a frontier search: how long they are, when the fault stands in them, and how long all may take."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.gates.parse import parse_gate
from harness.gates.recovery import WINDOWS_IN_A_ROW, window_ms
from harness.rundir.phases import planned_phases
from harness.rundir.plan import Plan
from harness.rundir.searches.capacity import StepPurpose
from harness.rundir.searches.frontier import FrontierKind
from harness.search.frontier.frontier_run import plan_all, plan_one
from harness.search.frontier.level_loads import FrontierSettings, LevelLoads
from harness.search.frontier.upstream_faults import FrontierTarget
from harness.search.load_plans import load_plan
from harness.search.stack_loads import LoadSpec
from tests.search.frontier.scenarios import cell_of

SETTINGS = FrontierSettings(within=0.25, refute_ms=20_000, soak_ms=40_000, alpha=0.05)
GATES = "p99 < 2s, recovery < 15s after azure-latency"


def loads_of(folder: Path, kind: FrontierKind = "latency", *sets: str, **settings: Any) -> LevelLoads:
    cell = cell_of(folder, GATES, *sets)
    planned = plan_one(cell, FrontierTarget("azure", kind), replace(SETTINGS, **settings), None, None)
    return planned.curves[0]


def plan_at(loads: LevelLoads, spec: LoadSpec) -> Plan:
    base = loads.plan.model_copy(update={"most_in_flight": 1_000})
    load = load_plan(
        base, run_id="20260101-000000-0001", rate_per_s=spec.rate_per_s, settle_ms=spec.settle_ms,
        judged_ms=spec.judged_ms, gates=spec.gates, fault=spec.fault, confidence=spec.confidence, first_seq=0, seed=1,
        placed=spec.placed, guard_ms=spec.guard_ms,
    )  # fmt: skip
    return Plan.of(base.stack, load)


@pytest.mark.parametrize("level", [25.0, 900.0, 60_000.0])
def test_a_delay_stands_so_long_before_the_judged_part_that_its_first_requests_are_back(
    tmp_path: Path, level: float
) -> None:
    loads = loads_of(tmp_path)
    spec = loads.at(level, "explore", None)
    ((window,),) = [fault.windows for fault in spec.placed]
    assert spec.settle_ms == 5_000 + level
    assert -spec.settle_ms < window.apply_ms < -level
    assert window.remove_ms == spec.judged_ms + loads.plan.load.drain_ms
    assert {phase.name: phase.seconds for phase in planned_phases(plan_at(loads, spec))}["whole"] == 12


def test_a_hang_holds_calls_as_long_as_callers_wait_and_an_error_holds_none(tmp_path: Path) -> None:
    assert loads_of(tmp_path, "hang").at(0.1, "soak", 0.95).settle_ms == 10_000, "the gateway's 5 s more"
    assert loads_of(tmp_path, "errors").at(0.1, "soak", 0.95).settle_ms == 5_000


@pytest.mark.parametrize(("purpose", "judged_ms"), [("explore", 12_000), ("soak", 40_000), ("refute", 20_000)])
def test_certificates_take_longer_than_explorative_loads(
    tmp_path: Path, purpose: StepPurpose, judged_ms: float
) -> None:
    assert loads_of(tmp_path).at(900, purpose, 0.975).judged_ms == judged_ms
    assert loads_of(tmp_path).at(900, purpose, 0.975).confidence == 0.975


@pytest.mark.parametrize("level", [5_000.0, 40_000.0])
@pytest.mark.parametrize("rate", ["8/s", "40/s"])
def test_an_outage_has_a_baseline_before_it_and_after_it_what_its_gate_needs(
    tmp_path: Path, level: float, rate: str
) -> None:
    loads = loads_of(tmp_path, "outage", f"load.rate={rate}", "load.recovery=5m", "faults[0].for=20m")
    spec = loads.at(level, "explore", None)
    plan = plan_at(loads, spec)
    phases = {phase.name: phase for phase in planned_phases(plan)}
    assert phases["baseline"].seconds * loads.rate_per_s >= 200
    assert phases["baseline"].end_ms == plan.faults[0].windows[0].apply_ms - plan.guard_ms
    (gate,) = (parse_gate(gate.text) for gate in spec.gates)
    assert gate.phase in phases, "the gate names the search's own fault"
    assert phases[gate.phase].seconds * 1000 > 15_000 + WINDOWS_IN_A_ROW * window_ms(loads.rate_per_s)
    assert plan.faults[0].windows[0].remove_ms - plan.faults[0].windows[0].apply_ms == level


def test_without_the_fault_there_is_none(tmp_path: Path) -> None:
    for kind in ("latency", "outage"):
        spec = loads_of(tmp_path, kind).without_fault("return")
        assert (spec.placed, spec.judged_ms, [gate.text for gate in spec.gates]) == ((), 4_000, ["p99 < 2s"])


def test_a_load_after_one_that_broke_is_as_long_as_its_gates_need(tmp_path: Path) -> None:
    cell = cell_of(tmp_path, f"{GATES}, cpu < 50ms")
    (loads,) = plan_one(cell, FrontierTarget("azure", "latency"), SETTINGS, None, None).curves
    assert any(gate.text.startswith("cpu") for gate in loads.gates.healthy)
    assert loads.without_fault("return").judged_ms == 10_000
    assert loads_of(tmp_path).without_fault("return").judged_ms == SETTINGS.return_ms


def test_the_longest_search_is_known_before_and_soon(tmp_path: Path) -> None:
    loads = loads_of(tmp_path)
    began = time.process_time()
    longest_s = loads.times.longest_ms() / 1000
    assert time.process_time() - began < 5
    returns_s, drain_s = 5 + 4 + 1 + 11, 11
    certificates_s = 3 * (5 + 60 + 40 + 1 + drain_s) + 3 * (5 + 60 + 20 + 1 + drain_s) + 4 * returns_s
    assert 100 < longest_s < 33 + 9 * (5 + 60 + 12 + 1 + drain_s + returns_s) + certificates_s
    narrow, wide = (loads_of(tmp_path, within=within).times.longest_ms() / 1000 for within in (0.01, 1.0))
    assert narrow > longest_s > wide


def test_all_are_latency_and_outage_of_each_and_what_cannot_be_is_said(tmp_path: Path) -> None:
    every = plan_all(cell_of(tmp_path, GATES), SETTINGS)
    assert [(each.target.upstream, each.target.kind) for each in every.curves] == [
        ("azure", "latency"), ("azure", "outage"), ("gcp", "latency"), ("gcp", "outage")
    ]  # fmt: skip
    assert every.longest_ms == pytest.approx(15_000 + sum(each.times.longest_ms() for each in every.curves))
    raw = plan_all(cell_of(tmp_path, GATES, upstreams="{azure: {}, raw: 'tcp://127.0.0.1:1'}"), SETTINGS)
    assert list(raw.left_out) == ["raw, latency", "raw, outage"]
    assert len(raw.curves) == 2
