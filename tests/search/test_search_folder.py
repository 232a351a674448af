"""A search goes on only in the directory of one that was asked the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.rundir.plan import Plan
from harness.rundir.searches.asked import AskedSearch
from harness.rundir.searches.capacity import RecordedStep
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
from harness.search.capacity import read_steps
from harness.search.search_folder import asked_search, search_folder
from tests.search.steps import step

SETTINGS = {"soak_ms": 15_000.0, "to_per_s": None}


@pytest.fixture
def plan() -> Plan:
    return dry_plan(load_scenario("azure-slow").checked)[0]


def begun(tmp_path: Path, plan: Plan, **asked: Any) -> Path:
    return search_folder(tmp_path, "azure slow", None, asked_search("capacity", plan, 1, {**SETTINGS, **asked}))


def again(folder: Path, plan: Plan, command: str = "capacity", seed: int = 1, **asked: Any) -> Path:
    asks = asked_search(command, plan, seed, {**SETTINGS, **asked})
    return search_folder(folder.parent.parent, "azure slow", folder, asks)


def test_what_was_asked_the_same_goes_on_in_its_directory(plan: Plan, tmp_path: Path) -> None:
    folder = begun(tmp_path, plan)
    assert again(folder, plan.model_copy(update={"run_id": "another"})) == folder


def test_other_settings_are_named(plan: Plan, tmp_path: Path) -> None:
    folder = begun(tmp_path, plan)
    with pytest.raises(UsageError, match=r"soak_ms was 15000 and is 20000, to_per_s was none and is 90"):
        again(folder, plan, soak_ms=20_000.0, to_per_s=90.0)


def test_other_gates_another_environment_and_another_seed_are_another_scenario(plan: Plan, tmp_path: Path) -> None:
    folder = begun(tmp_path, plan)
    gates = tuple(gate.model_copy(update={"text": "p90 < 50ms"}) for gate in plan.gates)
    service = plan.service.model_copy(update={"env": {"SLOTS": "6"}})
    for changed, seed in ((plan.model_copy(update={"gates": gates}), 1), (plan, 2)):
        with pytest.raises(UsageError, match="the scenario differs"):
            again(folder, changed, seed=seed)
    with pytest.raises(UsageError, match="the scenario differs"):
        again(folder, plan.model_copy(update={"service": service}))


def test_another_file_of_the_load_is_named(plan: Plan, tmp_path: Path) -> None:
    data = tmp_path / "trips.csv"
    data.write_text("from\nMUC\n", encoding="utf-8")
    with_data = plan.model_copy(update={"load": plan.load.model_copy(update={"data": str(data)})})
    folder = begun(tmp_path, with_data)
    data.write_text("from\nBER\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"the file of load\.data differs"):
        again(folder, with_data)


def test_another_command_and_a_directory_of_no_search_are_refused(plan: Plan, tmp_path: Path) -> None:
    folder = begun(tmp_path, plan)
    with pytest.raises(UsageError, match="it is of `tailgate capacity`"):
        again(folder, plan, command="frontier")
    with pytest.raises(UsageError, match="does not say what was searched there"):
        again(tmp_path, plan)


def test_a_search_that_was_interrupted_in_its_first_load_goes_on(plan: Plan, tmp_path: Path) -> None:
    folder = again(begun(tmp_path, plan), plan)
    assert read_steps(folder, (None, "azure-slow")) == {None: [], "azure-slow": []}
    RecordedStep(fault="gcp-slow", step=step(20)).append(folder)
    with pytest.raises(UsageError, match="has a curve for gcp-slow"):
        read_steps(folder, (None, "azure-slow"))


def test_loads_that_other_rules_chose_are_refused(plan: Plan, tmp_path: Path) -> None:
    folder = begun(tmp_path, plan)
    before = AskedSearch.read(folder)
    before.model_copy(update={"rules": before.rules - 1}).write(folder)
    with pytest.raises(UsageError, match="another version of tailgate chose them"):
        again(folder, plan)
