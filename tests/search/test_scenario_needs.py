"""What a scenario needs: the shortest load it names is one that `validate` accepts and that every gate can pass in."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.plan import plan_command
from harness.scenario import load_scenario
from harness.search.scenario_needs import CellNeeds, needs_of

SCENARIO = """\
name: slow
service: {command: "./service {port}"}
upstreams: {azure: {}}
gateway: {timeout: 5s}
load: {request: GET /offers, rate: 40/s, warmup: 10s, baseline: 60s, recovery: 60s}
faults: [{upstream: azure, latency: 60s, for: 90s}]
gates: [p99 < gateway.timeout during azure-latency, errors < 1% after azure-latency]
"""


def needs(tmp_path: Path, text: str, *sets: str) -> list[CellNeeds]:
    (tmp_path / "service").write_text("#!/bin/sh\n")
    (tmp_path / "service").chmod(0o755)
    (tmp_path / "scenario.yaml").write_text(text)
    return needs_of(load_scenario(tmp_path / "scenario.yaml", sets))


def test_the_shortest_load_still_passes_validation_and_one_below_does_not(tmp_path: Path) -> None:
    (cell,) = needs(tmp_path, SCENARIO)
    assert cell.least_s is not None
    assert cell.load_s == 10 + 60 + 5 + 90 + 60
    fault_s, after_s = (math.ceil(gate.times.healthy_s or 0) for gate in cell.gates)
    shortest = ("load.baseline=5s", f"faults[0].for={fault_s + 5}s", f"load.recovery={after_s}s")
    (again,) = needs(tmp_path, SCENARIO, *shortest)
    assert again.load_s == pytest.approx(cell.least_s, abs=2)
    assert again.least_s == pytest.approx(again.load_s, abs=2)


def test_each_gate_has_the_rate_of_its_own_requests(tmp_path: Path) -> None:
    text = SCENARIO.replace(
        "request: GET /offers", "requests: [{name: a, request: GET /a, weight: 3}, GET /b]"
    ).replace("errors < 1%", "errors for a < 1%")
    (cell,) = needs(tmp_path, text)
    assert [gate.rate_per_s for gate in cell.gates] == [pytest.approx(40), pytest.approx(30)]


def test_runs_that_are_pooled_share_what_is_needed(tmp_path: Path) -> None:
    text = SCENARIO.replace("for: 90s", "for: 45s") + "verdict: {runs: 2}\n"
    (cell,) = needs(tmp_path, text)
    assert cell.wall_s(2.0) == 2 * (cell.load_s + 2.0)
    assert cell.least_s is not None and cell.least_s < 60


def test_of_faults_that_overlap_no_shortest_load_is_said(tmp_path: Path) -> None:
    text = SCENARIO.replace("baseline: 60s, recovery: 60s", "duration: 250s").replace(
        "{azure: {}}", "{azure: {}, gcp: {}}"
    )
    both = "latency: 60s, at: 70s, for: 90s}, {name: x, upstream: gcp, at: 80s, for: 60s, down: true}"
    text = text.replace("latency: 60s, for: 90s}", both)
    text = text.replace("after azure-latency", "during x")
    (cell,) = needs(tmp_path, text)
    assert cell.least_s is None


def test_without_a_planned_rate_moments_are_what_is_missing(tmp_path: Path) -> None:
    (cell,) = needs(tmp_path, SCENARIO.replace("rate: 40/s", "users: 5"))
    assert cell.gates[0].rate_per_s is None
    assert cell.gates[0].times.healthy_s == pytest.approx(29.9, abs=0.7)


def test_the_command_says_it_for_people_and_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.search.around.around_load_s", lambda: 2.0)
    said = CliRunner().invoke(plan_command, ["azure-slow", "ladder"], standalone_mode=False)
    assert "azure-slow: `tailgate run` takes about 2m 57s here" in said.output
    assert "cell parallel as above" in said.output
    assert "`tailgate capacity` usually takes about" in said.output
    document = json.loads(CliRunner().invoke(plan_command, ["ladder", "--json"], standalone_mode=False).output)
    assert document["kind"] == "plan"
    (ladder,) = document["scenarios"]
    assert ladder["wall_s"] == pytest.approx(sum(cell["wall_s"] for cell in ladder["cells"]))
    assert len(ladder["cells"]) == 6
    assert 0 < ladder["capacity"]["usual_s"] < ladder["capacity"]["most_s"] < 2 * 20 * 60


def test_a_gate_on_a_stream_has_its_rate_and_its_time(tmp_path: Path) -> None:
    storm = "{name: storm, request: GET /b, stages: [{rate: 0/s, for: 100s}, {rate: 20/s, for: 50s}]}"
    text = SCENARIO.replace("request: GET /offers", f"requests: [GET /a, {storm}]").replace(
        "p99 < gateway.timeout during azure-latency", "p99 for storm < 8s, p99 < 9s"
    )
    (cell,) = needs(tmp_path, text)
    gates = {gate.text: gate for gate in cell.gates}
    storm_gate, every = gates["p99 for storm < 8s"], gates["p99 < 9s"]
    assert [storm_gate.planned_s, storm_gate.rate_per_s] == [pytest.approx(50), pytest.approx(20)]
    assert every.planned_s == cell.load_s - 10
    assert every.rate_per_s == pytest.approx((40 * every.planned_s + 20 * 50) / every.planned_s)
