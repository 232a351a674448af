"""What a search says and refuses before it begins, where it cannot take gates, slots or faults as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.run.progress import NullDisplay
from harness.run.run import Options, Session
from harness.run.signals import Stopper
from harness.rundir.plan import Plan
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
from harness.scenario.planner import cells
from harness.search.capacity_run import curves_of
from harness.search.load_plans import (
    fault_gates,
    health_gates,
    load_plan,
    not_judged,
    refuse_unsearchable,
    search_notes,
)
from harness.search.stack_loads import StackLoads

SCENARIO = """\
name: slow
service: {rung: timeout}
upstreams: {azure: {}, gcp: {}}
gateway: {timeout: 5s}
load: {request: GET /offers, rate: 40/s, baseline: 60s, duration: 400s}
faults:
  - {upstream: azure, latency: 60s, at: 70s, for: 90s}
  - {name: gcp-flaps, upstream: gcp, down: true, at: 200s, for: 5s, every: 20s}
gates: [p99 < 2s, errors < 1% during azure-latency]
"""


def planned(tmp_path: Path, *sets: str) -> Plan:
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    return dry_plan(load_scenario(tmp_path / "scenario.yaml", sets).checked)[0]


def standing(plan: Plan, fault: str) -> list[tuple[float, float]]:
    base = plan.model_copy(update={"most_in_flight": 1_000})
    load = load_plan(
        base, run_id="20260101-000000-0001", rate_per_s=20, settle_ms=5_000, judged_ms=12_000,
        gates=health_gates(plan).gates, fault=fault, confidence=None, first_seq=0, seed=1,
    )  # fmt: skip
    return [(window.apply_ms, window.remove_ms) for one in load.faults for window in one.windows]


def test_faults_with_times_of_their_own_stand_for_a_whole_curve_and_it_is_said(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    curves = curves_of(plan, None)
    assert curves == (None, "azure-latency", "gcp-flaps")
    (note,) = search_notes(plan, curves, None)
    assert note == "azure-latency, gcp-flaps: on for a whole curve; `at`, `for` and `every` are ignored"
    end_ms = 12_000 + plan.load.drain_ms
    assert standing(plan, "azure-latency") == standing(plan, "gcp-flaps") == [(-2_500, end_ms)]


def test_without_faults_nothing_is_said_of_them(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert search_notes(plan, curves_of(plan, ()), None) == []


def test_slots_that_the_scenario_limits_are_said_to_end_the_search(tmp_path: Path) -> None:
    (note,) = search_notes(planned(tmp_path), (None,), 50)
    assert note.startswith("load.max_in_flight: no more than 50 requests are open at once")
    assert note.endswith("the answer is `at least`")


@pytest.mark.parametrize(("slots", "most"), [("50", 50), ("null", 80_000_000)])
def test_a_stack_has_the_slots_that_the_scenario_writes_or_those_of_the_highest_rate(
    tmp_path: Path, slots: str, most: int
) -> None:
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    loaded = load_scenario(tmp_path / "scenario.yaml", (f"load.max_in_flight={slots}",))
    plan = dry_plan(loaded.checked)[0]
    session = Session(Options(tmp_path), NullDisplay(), Stopper())
    loads = StackLoads(session, cells(loaded)[0], tmp_path, seed=0, most_per_s=40_000)
    found = loads._with_slots(plan).most_in_flight
    assert found == most if slots != "null" else plan.load.max_in_flight < found <= most


def test_a_scenario_whose_only_gates_depend_on_how_many_requests_there_are_is_refused(tmp_path: Path) -> None:
    plan = planned(tmp_path, "gates=['max < 5s', 'errors = 0']")
    with pytest.raises(UsageError, match="no gate of this scenario can be judged") as caught:
        refuse_unsearchable(plan)
    assert "`max < 5s`: " in caught.value.message and "`errors = 0`: " in caught.value.message


def test_beside_other_gates_they_are_left_out_and_listed(tmp_path: Path) -> None:
    plan = planned(tmp_path, "gates=['max < 5s', 'p99 < 2s', 'errors = 0 during azure-latency']")
    refuse_unsearchable(plan)
    assert [gate.text for gate in health_gates(plan).gates] == ["p99 < 2s"]
    assert [gate.text for gate in fault_gates(plan, "azure-latency").gates] == ["p99 < 2s"]
    assert list(not_judged(plan)) == ["max < 5s", "errors = 0 during azure-latency"]
