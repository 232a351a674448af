"""Searches with a real stack: both answers, what is kept of each load, and that nothing is left behind at any end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness import verdict
from harness.run.progress import NullDisplay
from harness.run.run import Options, Session
from harness.run.signals import Stopper
from harness.rundir.results import canonical_json
from harness.rundir.searches.frontier import FrontierKind, FrontierResults, recorded_frontier_steps
from harness.scenario import load_scenario
from harness.scenario.planner import cells
from harness.search.frontier.frontier_run import plan_one, search_frontier
from harness.search.frontier.level_loads import FrontierSettings
from harness.search.frontier.upstream_faults import FrontierTarget
from harness.stack.processes import orphans

pytestmark = [pytest.mark.stack, pytest.mark.beside]
ENDS_WITHIN_S = 40.0
SHORT = FrontierSettings(
    within=3.0, refute_ms=2_000, soak_ms=3_000, alpha=0.05, settle_ms=1_500, explore_ms=1_500, return_ms=1_000
)
SCENARIO = """\
name: two
service: {rung: RUNG}
upstreams: {azure: {p50: 20ms, p99: 40ms}, gcp: {p50: 20ms, p99: 40ms}}
gateway: {timeout: 5s}
load: {request: GET /v1/offers, rate: 12/s}
gates: [p50 < 900ms]
verdict: {clump: 10ms}
"""


def scenario(folder: Path, rung: str = "parallel") -> Path:
    path = folder / "scenario.yaml"
    path.write_text(SCENARIO.replace("RUNG", rung))
    return path


def searched(
    folder: Path,
    kind: FrontierKind,
    first: float | None,
    most: float | None,
    *,
    rung: str = "parallel",
    **settings: float,
) -> tuple[Path, FrontierResults]:
    (cell,) = cells(load_scenario(scenario(folder, rung)))
    planned = plan_one(cell, FrontierTarget("azure", kind), replace(SHORT, **settings), first, most)
    return search_frontier(Session(Options(out=folder / "runs"), NullDisplay(), Stopper()), planned)


def test_a_service_that_waits_for_its_slowest_upstream_has_both_answers(tmp_path: Path) -> None:
    """The one search by day; the nightly ones below differ from it in the kind, and in how they end."""
    folder, results = searched(tmp_path, "latency", 400, 2_000)
    (curve,) = results.curves
    assert results.verdict == "pass", (results.sentence, curve.steps)
    assert (curve.certified, curve.refuted) == (400, 1_200)
    assert (curve.broken_gate, curve.ended_by) == ("p50 < 900ms", "bracket")
    assert "azure may answer up to 400 ms later; at 1.2 s `p50 < 900ms`" in results.sentence
    assert [step.purpose for step in curve.steps] == [
        "health", "explore", "explore", "return", "soak", "refute", "return"
    ]  # fmt: skip
    for step in curve.steps:
        again = verdict.write_any(folder / step.run)
        assert again.run.load.rate_per_s == 12
        assert [fault.kind for fault in again.faults] == ([] if step.level is None else ["latency"])
        if step.level is not None:
            assert step.fault_met and step.fault_seen.startswith("held up to"), "the fault was there and was met"
    plans = [json.loads((folder / step.run / "plan.json").read_text()) for step in curve.steps]
    assert len({plan["stack_id"] for plan in plans}) == 1, "the stack starts once"
    assert (folder / "frontier.json").read_text() == canonical_json(results)
    assert [line.step.run for line in recorded_frontier_steps(folder)] == [step.run for step in curve.steps]
    assert (folder / "report.html").stat().st_size > 5_000
    assert not orphans.members(plans[0]["stack_id"])
