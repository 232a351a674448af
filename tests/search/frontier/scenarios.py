"""A scenario to search the frontier of, and steps and results that are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.rundir.plan import Plan
from harness.rundir.results import Machine, ScenarioRef, Tool
from harness.rundir.searches.frontier import FrontierCurve, FrontierResults, FrontierStep
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
from harness.scenario.planner import LoadedCell, cells
from tests.search.steps import step

TWO = "{azure: {}, gcp: {}}"
SCENARIO = """\
name: two
service: {rung: timeout}
upstreams: UPSTREAMS
gateway: {timeout: 5s}
load: {request: GET /v1/offers, rate: 40/s, baseline: 60s, recovery: 60s}
faults: [FAULTS]
gates: [GATES]
"""
SLOW = "{upstream: azure, latency: 60s, for: 90s}"


def cell_of(folder: Path, gates: str, *sets: str, upstreams: str = TWO, faults: str = SLOW) -> LoadedCell:
    text = SCENARIO.replace("UPSTREAMS", upstreams).replace("FAULTS", faults).replace("GATES", gates)
    (folder / "scenario.yaml").write_text(text)
    (found,) = cells(load_scenario(folder / "scenario.yaml", sets))
    return found


def plan_of(cell: LoadedCell) -> Plan:
    return dry_plan(cell.loaded.checked)[0]


def level_step(level: float | None, outcome: str = "held", **figures: Any) -> FrontierStep:
    """A load with the fault at that level; None: without it."""
    seen: dict[str, Any] = {"fault_seen": "held up to 2.01 s instead of 1.2 ms", "fault_met": True}
    if level is None:
        seen.clear()
    own: dict[str, Any] = {name: figures.pop(name) for name in ("fault_met", "unmet") if name in figures}
    fields: dict[str, Any] = {**step(40, outcome, **figures).model_dump(), "level": level, **seen, **own}
    return FrontierStep.model_validate(fields)


def curve(certified: float | None, refuted: float | None, **fields: Any) -> FrontierCurve:
    known: dict[str, Any] = {
        "upstream": "azure", "kind": "latency", "unit": "ms", "ended_by": "bracket", "at_least": False,
        "broken_gate": "p99 < 2s" if refuted else None, "broke": "`p99 < 2s` failed" if refuted else "",
        "gates": ("p99 < 2s",), "steps": (), **fields,
    }  # fmt: skip
    return FrontierCurve(certified=certified, refuted=refuted, **known)


def results(*curves: FrontierCurve, **fields: Any) -> FrontierResults:
    known: dict[str, Any] = {
        "tool": Tool(version="0"), "verdict": "pass", "exit_code": 0, "interrupted": False,
        "scenario": ScenarioRef(name="two", file="two.yaml", sha256="0", seed=0), "machine": Machine(cores=2),
        "confidence": 0.95, "within": 0.25, "rate_per_s": 40.0, "sentence": "", "not_judged": {}, **fields,
    }  # fmt: skip
    return FrontierResults(curves=curves, **known)
