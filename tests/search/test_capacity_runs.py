"""Searches with a real stack: the answer, what is kept of each load, and that nothing is left behind at any end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.limited_queue import Limited
from harness import verdict
from harness.run.progress import NullDisplay
from harness.run.run import Options, Session
from harness.run.signals import Stopper
from harness.rundir.results import canonical_json
from harness.rundir.rows import SAMPLES, read_rows
from harness.rundir.searches.capacity import recorded_steps
from harness.scenario import load_scenario
from harness.scenario.planner import cells
from harness.search.capacity import Settings
from harness.search.capacity_run import Asked, search_capacity
from harness.stack.processes import orphans
from tests.run import test_session_runs as sessions
from tests.search.lost_loads import lost_a_load

pytestmark = [pytest.mark.stack, pytest.mark.beside]
POOL = Limited("pool", 4, 20, 400)
SMALL = Limited("pool", 2, 80, 400)
"""It carries 18/s and not 32.4/s."""
ENDS_WITHIN_S = 40.0


def scenario(folder: Path, limited: Limited = POOL) -> Path:
    path = folder / "scenario.yaml"
    path.write_text(
        f"""\
name: limited
service: {{command: {json.dumps(limited.argv())}, ready: GET /healthz within 20s}}
gateway: {{timeout: 5s}}
load: {{request: GET /, rate: 10/s}}
gates: [p50 < 400ms]
verdict: {{clump: 10ms}}
"""
    )
    return path


def test_a_service_that_carries_every_rate_up_to_the_highest(tmp_path: Path) -> None:
    loaded = load_scenario(scenario(tmp_path))
    settings = Settings(
        first_per_s=10, to_per_s=18, within=0.1, refute_ms=2_000, soak_ms=3_000, alpha=0.05,
        settle_ms=500, explore_ms=2_000, return_ms=1_000,
    )  # fmt: skip
    session = Session(Options(out=tmp_path / "runs"), NullDisplay(), Stopper())
    folder, results = search_capacity(session, cells(loaded)[0], settings, Asked((), None, None, 0.1))
    (curve,) = results.curves
    assert curve.refuted_per_s is None and (curve.certified_per_s or 0) <= 18, curve.steps
    said = [step for step in curve.steps if step.outcome != "generator"]  # a busy machine may take a load
    if not lost_a_load(curve.steps):
        assert results.verdict == "pass", results.sentence
        assert (curve.certified_per_s, curve.at_least) == (18, True)
        assert [step.purpose for step in said] == ["explore", "explore", "soak"]
    for step in curve.steps:
        again = verdict.write_any(folder / step.run)
        assert again.run.load.rate_per_s == step.rate_per_s
    for step in said:
        assert step.in_flight_mean == pytest.approx(step.little or 0, rel=0.3)
    plans = [json.loads((folder / step.run / "plan.json").read_text()) for step in curve.steps]
    stacks = {plan["stack_id"] for plan in plans}
    assert len(stacks) == 1 or lost_a_load(curve.steps), "the stack starts once"
    assert (folder / "capacity.json").read_text() == canonical_json(results)
    assert [line.step.run for line in recorded_steps(folder)] == [step.run for step in curve.steps]
    assert (folder / "report.html").stat().st_size > 5_000
    assert not [member for stack in stacks for member in orphans.members(stack)]


@pytest.mark.nightly  # by day tests/search/test_load_plans.py plans streams, and tests/run runs them with logins
def test_logins_streams_and_two_workers_are_searched_as_one_rate(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(sessions.SCENARIO)
    loaded = load_scenario(path)
    settings = Settings(
        first_per_s=10, to_per_s=18, within=0.1, refute_ms=3_000, soak_ms=5_000, alpha=0.05,
        settle_ms=1_500, explore_ms=3_000, return_ms=1_000,
    )  # fmt: skip
    session = Session(Options(out=tmp_path / "runs", workers=2), NullDisplay(), Stopper())
    folder, results = search_capacity(session, cells(loaded)[0], settings, Asked(None, None, None, 0.1))
    assert [curve.fault for curve in results.curves] == [None, "azure-latency"]
    for curve in results.curves:
        assert curve.ended_by in ("to", "bracket", "undecided"), results.sentence
        for step in curve.steps:
            rows = [read_rows(folder / step.run / f"samples-{worker}.bin", SAMPLES) for worker in range(2)]
            assert all(len(part) for part in rows), "both workers sent"
            streams = [int((part["request"] == number).sum()) for number in range(2) for part in rows]
            reads, orders = sum(streams[:2]), sum(streams[2:])
            assert reads == pytest.approx(orders, rel=0.6), "both have 15/s at most, so each has half of the rate"
            assert step.n == pytest.approx(step.rate_per_s * step.seconds, rel=0.6)


def begun(folder: Path, *words: str, limited: Limited = POOL) -> subprocess.Popen[str]:
    path = str(scenario(folder, limited))
    argv = [sys.executable, "-c", "from harness.cli.group import main; main()", "capacity", path]
    return subprocess.Popen(
        [*argv, "--out", str(folder / "runs"), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def await_steps(folder: Path, count: int) -> Path:
    """The directory of the search once so many of its loads are over and the next has begun."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for found in folder.glob("runs/limited/*/"):
            if len(recorded_steps(found)) >= count and (found / f"load-{count:03d}" / "manifest.json").exists():
                return found
        time.sleep(0.2)
    raise AssertionError("the search did not get so far")


def await_requests(load_dir: Path) -> None:
    """Until the load's first requests have ended."""
    end, rows = time.monotonic() + 60, load_dir / "samples-0.bin"
    while not (rows.exists() and len(read_rows(rows, SAMPLES, verify=False))):
        assert time.monotonic() < end, "the load did not begin"
        time.sleep(0.1)


def stack_id(folder: Path) -> str:
    found: str = json.loads((folder / "load-000" / "plan.json").read_text())["stack_id"]
    return found


@pytest.mark.nightly  # by day tests/search/test_curve_driver.py interrupts at each load, and tests/stack a later load
def test_ctrl_c_keeps_what_is_known_and_the_search_is_taken_up_again(tmp_path: Path) -> None:
    process = begun(tmp_path, "--to", "30/s", "--soak", "5s")
    folder = await_steps(tmp_path, 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 130, err
    assert out.splitlines()[-1].startswith("INCONCLUSIVE limited ")
    assert not orphans.members(stack_id(folder))
    again = begun(tmp_path, "--to", "30/s", "--soak", "5s", "--resume", str(folder), "--json")
    out, err = again.communicate(timeout=180)
    assert again.returncode == 0, err
    (curve,) = json.loads(out)["curves"]
    assert (curve["certified_per_s"], curve["at_least"]) == (30, True)
    assert curve["steps"][0]["run"] == "load-000", "what was answered before is not asked again"


@pytest.mark.nightly  # by day tests/search/test_curve_search.py interrupts at each load, whatever it is for
@pytest.mark.parametrize(("purpose", "over"), [("return", 3), ("soak", 4), ("refute", 5)])
def test_ctrl_c_in_any_kind_of_load(tmp_path: Path, purpose: str, over: int) -> None:
    """`over`: how many loads are over when the one for that purpose begins."""
    words = ("--within", "90%", "--soak", "5s", "--step", "5s")
    process = begun(tmp_path, *words, limited=SMALL)
    folder = await_steps(tmp_path, over)
    await_requests(folder / f"load-{over:03d}")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 130, err
    assert not orphans.members(stack_id(folder))
    before = [line.step for line in recorded_steps(folder)]
    (curve,) = json.loads((folder / "capacity.json").read_text())["curves"]
    assert (curve["certified_per_s"], curve["ended_by"]) == (18 if purpose == "refute" else None, "interrupted")
    again = begun(tmp_path, *words, "--resume", str(folder), "--json", limited=SMALL)
    out, err = again.communicate(timeout=180)
    assert again.returncode == 0, err
    (curve,) = json.loads(out)["curves"]
    assert (curve["certified_per_s"], curve["refuted_per_s"]) == (18, 32.4)
    steps = [line.step for line in recorded_steps(folder)]
    assert steps[: len(before)] == before, "what was answered before is not asked again"
    assert [step.purpose for step in steps[len(before) :]].count("explore") == 0
    assert not orphans.members(stack_id(folder))


@pytest.mark.nightly  # by day tests/stack/test_many_loads.py kills a supervisor in a later load
@pytest.mark.parametrize("victim", ["tailgate", "harness.stack.supervisor.supervisor", "locust", "limited_service"])
def test_whoever_is_killed_nothing_stays(tmp_path: Path, victim: str) -> None:
    """A service that is killed breaks a rate that it carries, so the loads that are to fail there hold."""
    process = begun(tmp_path, "--to", "30/s", "--soak", "5s", "--step", "5s")
    folder = await_steps(tmp_path, 1)
    if victim == "tailgate":
        process.kill()
    else:
        await_requests(folder / "load-001")
        members = [member.process for member in orphans.members(stack_id(folder))]
        (first, *_) = [each for each in members if victim in " ".join(each.cmdline())]
        os.kill(first.pid, signal.SIGKILL)
    process.communicate(timeout=180)
    expected = {"tailgate": (-9,), "harness.stack.supervisor.supervisor": (4,), "locust": (0,)}.get(victim, (0, 3))
    assert process.returncode in expected, "a load whose generator ended is run once more"
    end = time.monotonic() + ENDS_WITHIN_S
    while orphans.members(stack_id(folder)):
        assert time.monotonic() < end, [
            psutil.Process(m.process.pid).cmdline() for m in orphans.members(stack_id(folder))
        ]
        time.sleep(0.2)
    assert recorded_steps(folder), "what was answered is kept"
