"""Searches with a real stack: both answers, what is kept of each load, and that nothing is left behind at any end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness import verdict
from harness.run.progress import NullDisplay
from harness.run.run import Options, Session
from harness.run.signals import Stopper
from harness.rundir.results import canonical_json
from harness.rundir.searches.capacity import StepPurpose
from harness.rundir.searches.frontier import FrontierCurve, FrontierKind, FrontierResults, recorded_frontier_steps
from harness.scenario import load_scenario
from harness.scenario.planner import cells
from harness.search.frontier.frontier_run import plan_one, search_frontier
from harness.search.frontier.level_loads import FrontierSettings
from harness.search.frontier.upstream_faults import FrontierTarget
from harness.stack.processes import orphans
from tests.search.lost_loads import lost_a_load

pytestmark = [pytest.mark.stack, pytest.mark.beside]
ENDS_WITHIN_S = 40.0
OUTAGE = (
    "load.recovery=4s", "load.rate=50/s", "upstreams.azure.p50=200ms", "upstreams.azure.p99=300ms",
)  # fmt: skip
"""Windows of two seconds, and answers that are slow enough for a busy machine not to make them a quarter slower."""
SHORT = FrontierSettings(
    within=3.0,
    refute_ms=1_500,
    soak_ms=2_000,
    alpha=0.05,
    settle_ms=1_000,
    explore_ms=1_200,
    return_ms=800,
    baseline_ms=5_000,
)
SCENARIO = """\
name: two
service: {rung: parallel}
upstreams: {azure: {p50: 20ms, p99: 40ms}, gcp: {p50: 20ms, p99: 40ms}}
gateway: {timeout: 5s}
load: {request: GET /v1/offers, rate: 20/s}
gates: [p50 < 900ms]
verdict: {clump: 10ms}
"""


def scenario(folder: Path) -> Path:
    path = folder / "scenario.yaml"
    path.write_text(SCENARIO)
    return path


def searched(
    folder: Path,
    kind: FrontierKind,
    first: float,
    most: float,
    *,
    sets: tuple[str, ...] = (),
    settings: FrontierSettings = SHORT,
) -> tuple[Path, FrontierResults]:
    (cell,) = cells(load_scenario(scenario(folder), sets))
    planned = plan_one(cell, FrontierTarget("azure", kind), settings, first, most)
    return search_frontier(Session(Options(out=folder / "runs"), NullDisplay(), Stopper()), planned)


def purposes(curve: FrontierCurve) -> list[StepPurpose]:
    """Of the loads, without those that a busy machine took and without the returns after those."""
    found: list[StepPurpose] = []
    taken = False
    for step in curve.steps:
        if step.outcome == "generator":
            taken = True
        elif not (taken and step.purpose == "return"):
            taken = False
            found.append(step.purpose)
    return found


def test_an_upstream_that_may_be_as_slow_as_anything_that_is_tried(tmp_path: Path) -> None:
    """The one search by day. The nightly ones below differ from it in the kind, and in how they end: a load that breaks
    on a busy machine says nothing, so the other answer needs a quiet one."""
    folder, results = searched(tmp_path, "latency", 200, 500)
    (curve,) = results.curves
    assert curve.refuted is None and (curve.certified or 0) <= 500, curve.steps
    if not lost_a_load(curve.steps):
        assert results.verdict == "pass", (results.sentence, curve.steps)
        assert (curve.certified, curve.at_least, curve.ended_by) == (500, True, "to")
        assert results.sentence == "azure may answer 500 ms later, and nothing higher was tried."
        assert purposes(curve) == ["health", "explore", "explore", "soak"]
    for step in (step for step in curve.steps if step.outcome != "generator"):
        again = verdict.write_any(folder / step.run)
        assert again.run.load.rate_per_s == 20
        assert [fault.kind for fault in again.faults] == ([] if step.level is None else ["latency"])
        if step.level is not None:
            assert step.fault_met and step.fault_seen.startswith("held up to"), "the fault was there and was met"
    plans = [json.loads((folder / step.run / "plan.json").read_text()) for step in curve.steps]
    stacks = {plan["stack_id"] for plan in plans}
    assert len(stacks) == 1 or lost_a_load(curve.steps), "the stack starts once"
    assert (folder / "frontier.json").read_text() == canonical_json(results)
    assert [line.step.run for line in recorded_frontier_steps(folder)] == [step.run for step in curve.steps]
    assert (folder / "report.html").stat().st_size > 5_000
    assert not [member for stack in stacks for member in orphans.members(stack)]


@pytest.mark.nightly  # by day the search above, and tests/search/frontier/test_frontier_curve.py
def test_a_service_that_waits_for_its_slowest_upstream_has_both_answers(tmp_path: Path) -> None:
    longer = replace(SHORT, explore_ms=4_000, refute_ms=5_000)
    _, results = searched(tmp_path, "latency", 400, 2_000, settings=longer)
    (curve,) = results.curves
    assert results.verdict == "pass", (results.sentence, curve.steps)
    assert (curve.certified, curve.refuted) == (400, 1_200)
    assert (curve.broken_gate, curve.ended_by) == ("p50 < 900ms", "bracket")
    assert "azure may answer up to 400 ms later; at 1.2 s `p50 < 900ms`" in results.sentence
    assert purposes(curve) == ["health", "explore", "explore", "return", "soak", "refute", "return"]


@pytest.mark.nightly  # by day the latency above, and tests/search/frontier/test_level_loads.py for what differs
@pytest.mark.parametrize(("kind", "refuted"), [("errors", None), ("hang", 0.7)])
def test_a_share_of_calls_that_fail_or_hang(tmp_path: Path, kind: FrontierKind, refuted: float | None) -> None:
    """p50 falls once more than half of the requests wait for a call that hangs; a call that fails costs it nothing."""
    longer = replace(SHORT, soak_ms=4_000, explore_ms=3_000)
    _, results = searched(tmp_path, kind, 0.25, 0.7, settings=longer)
    (curve,) = results.curves
    assert results.verdict == "pass", results.sentence
    assert (curve.certified, curve.refuted) == (0.7 if refuted is None else 0.25, refuted), results.sentence
    for step in curve.steps:
        if step.level is not None and step.outcome != "generator":
            assert step.fault_met and step.fault_seen


@pytest.mark.nightly  # by day tests/search/frontier/test_level_loads.py and test_level_step.py
def test_an_outage_that_the_service_survives(tmp_path: Path) -> None:
    folder, results = searched(tmp_path, "outage", 5_000, 6_000, sets=OUTAGE)
    (curve,) = results.curves
    assert results.verdict == "pass", results.sentence
    assert (curve.certified, curve.at_least, curve.findings) == (6_000, True, ("default_recovery",))
    assert curve.gates == ("recovery < 4s after azure-outage",)
    soak = curve.steps[-1]
    again = verdict.write_any(folder / soak.run)
    (fault,) = again.faults
    (window,) = fault.windows
    assert window.applied_ms is not None and window.removed_ms is not None
    assert window.removed_ms - window.applied_ms == pytest.approx(6_000, abs=1_000)
    assert [gate.verdict for gate in again.gates if gate.metric == "recovery"] == ["pass"]


@pytest.mark.nightly  # by day tests/search/frontier/test_frontier_curve.py, with loads that are made up
def test_an_outage_after_which_the_service_does_not_come_back(tmp_path: Path) -> None:
    """Each request that hung for long makes all later ones slower: see `stuck_service.py`."""
    path = tmp_path / "scenario.yaml"
    command = [sys.executable, str(Path(__file__).with_name("stuck_service.py")), "{port}", "{azure.url}"]
    path.write_text(
        SCENARIO.replace("{rung: parallel}", f"{{command: {json.dumps(command)}, ready: GET /healthz within 20s}}")
        .replace("gateway: {timeout: 5s}", "gateway: {timeout: 2s}")
        .replace(", gcp: {p50: 20ms, p99: 40ms}", "")
    )
    (cell,) = cells(load_scenario(path, OUTAGE))
    planned = plan_one(cell, FrontierTarget("azure", "outage"), SHORT, 5_000, 12_000)
    _, results = search_frontier(Session(Options(out=tmp_path / "runs"), NullDisplay(), Stopper()), planned)
    (curve,) = results.curves
    assert curve.certified == 5_000 and curve.refuted == 12_000, results.sentence
    assert curve.broken_gate == "recovery < 4s after azure-outage"
    assert {"metastable", "restarted"} <= set(curve.findings)


def begun(folder: Path, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", "from harness.cli.group import main; main()", "frontier", str(scenario(folder))]
    return subprocess.Popen(
        [*argv, "--upstream", "azure", "--kind", "latency", "--from", "100ms", "--to", "300ms", "--soak", "4s",
         "--out", str(folder / "runs"), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip


def await_steps(folder: Path, count: int) -> Path:
    """The directory of the search once so many of its loads are over and the next has begun."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for found in folder.glob("runs/two/*/"):
            loads = sorted(found.glob("load-*/manifest.json"))
            if len(recorded_frontier_steps(found)) >= count and len(loads) > count:
                return found
        time.sleep(0.2)
    raise AssertionError("the search did not get so far")


def stack_id(folder: Path) -> str:
    found: str = json.loads((folder / "load-000" / "plan.json").read_text())["stack_id"]
    return found


@pytest.mark.nightly  # by day tests/search/test_curve_driver.py interrupts at each load
def test_ctrl_c_keeps_what_is_known_and_the_search_is_taken_up_again(tmp_path: Path) -> None:
    process = begun(tmp_path)
    folder = await_steps(tmp_path, 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 130, err
    assert out.splitlines()[-1].startswith("INCONCLUSIVE two ")
    assert not orphans.members(stack_id(folder))
    again = begun(tmp_path, "--resume", str(folder), "--json")
    out, err = again.communicate(timeout=180)
    assert again.returncode == 0, err
    (curve,) = json.loads(out)["curves"]
    assert (curve["certified"], curve["at_least"]) == (300, True)
    assert curve["steps"][0]["run"] == "load-000", "what was answered before is not asked again"


@pytest.mark.nightly  # by day tests/stack/test_many_loads.py kills a supervisor in a later load
@pytest.mark.parametrize("victim", ["tailgate", "harness.stack.supervisor.supervisor"])
def test_whoever_is_killed_no_process_and_no_fault_stays(tmp_path: Path, victim: str) -> None:
    process = begun(tmp_path)
    folder = await_steps(tmp_path, 1)
    time.sleep(4)  # the fault of the next load stands
    if victim == "tailgate":
        process.kill()
    else:
        members = [member.process for member in orphans.members(stack_id(folder))]
        (first, *_) = [each for each in members if victim in " ".join(each.cmdline())]
        first.kill()
    process.communicate(timeout=180)
    assert process.returncode == (-signal.SIGKILL if victim == "tailgate" else 4)
    end = time.monotonic() + ENDS_WITHIN_S
    while orphans.members(stack_id(folder)):
        assert time.monotonic() < end, orphans.members(stack_id(folder))
        time.sleep(0.2)
    assert recorded_frontier_steps(folder), "what was answered is kept"
