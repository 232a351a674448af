"""What a scenario needs: the shortest load it names is one that `validate` accepts and that every gate can pass in."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from harness.cli.plan import plan_command
from harness.cli.schema import schema_command
from harness.rundir.searches.planned import PlanDocument, PlannedCell
from harness.scenario import load_scenario
from harness.search.scenario_needs import needs_of

SCENARIO = """\
name: slow
service: {command: "./service {port}"}
upstreams: {azure: {}}
gateway: {timeout: 5s}
load: {request: GET /offers, rate: 40/s, warmup: 10s, baseline: 60s, recovery: 60s}
faults: [{upstream: azure, latency: 60s, for: 90s}]
gates: [p99 < gateway.timeout during azure-latency, errors < 1% after azure-latency]
"""


def needs(tmp_path: Path, text: str, *sets: str) -> tuple[PlannedCell, ...]:
    (tmp_path / "service").write_text("#!/bin/sh\n")
    (tmp_path / "service").chmod(0o755)
    (tmp_path / "scenario.yaml").write_text(text)
    return needs_of(load_scenario(tmp_path / "scenario.yaml", sets), around_s=2.0)


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
    assert cell.wall_s == 2 * (cell.load_s + 2.0)
    assert cell.least_s is not None and cell.least_s < 60
    (alone,) = needs(tmp_path, text.replace("runs: 2", "runs: 1").replace("for: 45s", "for: 90s"))
    assert alone.gates[1].phase == cell.gates[1].phase == "after azure-latency"
    in_one_s, in_pool_s = alone.gates[1].times.outage_s, cell.gates[1].times.outage_s
    assert in_one_s is not None and in_pool_s is not None
    assert in_pool_s > 1.15 * in_one_s  # the stall is in one run of the same length, and the other is healthy


def test_of_faults_that_overlap_no_shortest_load_is_said(tmp_path: Path) -> None:
    text = SCENARIO.replace("baseline: 60s, recovery: 60s", "duration: 250s").replace(
        "{azure: {}}", "{azure: {}, gcp: {}}"
    )
    both = "latency: 60s, at: 70s, for: 90s}, {name: x, upstream: gcp, at: 80s, for: 60s, down: true}"
    text = text.replace("latency: 60s, for: 90s}", both)
    text = text.replace("after azure-latency", "during x")
    (cell,) = needs(tmp_path, text)
    assert cell.least_s is None
    assert cell.notes == ("faults overlap, so no shortest load is known",)


def test_without_a_planned_rate_moments_are_what_is_missing(tmp_path: Path) -> None:
    (cell,) = needs(tmp_path, SCENARIO.replace("rate: 40/s", "users: 5"))
    assert cell.gates[0].rate_per_s is None
    times = cell.gates[0].times
    assert times.healthy_s == pytest.approx(29.9, abs=0.7)
    assert (times.outage_s, times.half_s, times.twice_s) == (None, None, None)
    (note,) = cell.notes
    assert "with `users` the rate follows from the answers" in note


def test_of_a_locustfile_a_gate_on_a_request_is_as_if_every_arrival_sent_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a locustfile sends is not known before it runs, and the output says so."""
    (tmp_path / "users.py").write_text("from locust import FastHttpUser, task\n")
    text = SCENARIO.replace("request: GET /offers", "locustfile: users.py").replace("errors <", "errors for login <")
    (cell,) = needs(tmp_path, text)
    assert [gate.every_arrival for gate in cell.gates] == [False, True]
    monkeypatch.setattr("harness.search.around.around_load_s", lambda: 2.0)
    path = str(tmp_path / "scenario.yaml")
    assert "as if every arrival sent that request" in CliRunner().invoke(plan_command, [path]).output
    (tmp_path / "scenario.yaml").write_text(text.replace(" for login", ""))
    assert "as if every arrival" not in CliRunner().invoke(plan_command, [path]).output


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
    assert ladder["capacity"]["most_s"] < ladder["frontier"]["usual_s"] < ladder["frontier"]["most_s"]
    assert ladder["refused"] == {}


SIMPLE = """\
name: simple
service: {rung: timeout}
upstreams: {azure: {}}
load: {request: GET /a, rate: 20/s, duration: 400s}
gates: [GATE]
"""


def plan_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> tuple[str, dict[str, Any]]:
    """What the command says of a scenario, for people and as a document."""
    monkeypatch.setattr("harness.search.around.around_load_s", lambda: 2.0)
    (tmp_path / "scenario.yaml").write_text(text)
    path = str(tmp_path / "scenario.yaml")
    said = CliRunner().invoke(plan_command, [path], standalone_mode=False).output
    document = CliRunner().invoke(plan_command, [path, "--json"], standalone_mode=False).output
    (planned,) = PlanDocument.model_validate_json(document).model_dump()["scenarios"]
    return said, planned


def test_a_search_whose_usual_soak_is_too_short_is_not_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, planned = plan_of(tmp_path, monkeypatch, SIMPLE.replace("GATE", "p99.9 < 1s"))
    refused = "is refused: --soak 2m 00s is too short: `p99.9 < 1s` needs 5m 00s"
    assert f"`tailgate capacity` {refused}, with nothing slow, to pass (fix: give --soak 299.5s or longer)" in said
    assert f"`tailgate frontier` {refused} at 20/s" in said
    assert "usually takes" not in said
    assert (planned["capacity"], planned["frontier"], set(planned["refused"])) == (None, None, {"capacity", "frontier"})
    said, planned = plan_of(tmp_path, monkeypatch, SIMPLE.replace("GATE", "p99 < 1s"))
    assert said.count("usually takes") == 2
    assert planned["refused"] == {}


def test_a_load_of_users_is_said_to_have_no_known_rate_and_no_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, planned = plan_of(tmp_path, monkeypatch, SIMPLE.replace("GATE", "p99 < 1s").replace("rate: 20/s", "users: 5"))
    assert re.search(r"p99 < 1s +6m 40s +29\.9 s +- +- +-\n", said)
    assert "    with `users` the rate follows from the answers" in said
    assert "tailgate capacity" not in said
    assert "tailgate frontier" not in said
    assert (planned["capacity"], planned["frontier"], planned["refused"]) == (None, None, {})


@pytest.mark.parametrize(("runs", "takes"), [(1, "takes about 6m 52s"), (3, "takes at most about 20m 36s")])
def test_runs_that_are_pooled_take_at_most_their_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: int, takes: str
) -> None:
    text = SIMPLE.replace("GATE", "p99 < 1s") + f"verdict: {{runs: {runs}}}\n"
    assert takes in plan_of(tmp_path, monkeypatch, text)[0]


def test_the_document_fits_its_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = json.loads(CliRunner().invoke(schema_command, ["plan"], standalone_mode=False).output)
    assert schema["title"] == "tailgate plan --json"
    for gate in ("p99 < 1s", "p99.9 < 1s"):
        _, planned = plan_of(tmp_path, monkeypatch, SIMPLE.replace("GATE", gate))
        document = json.loads(json.dumps({"schema_version": 1, "kind": "plan", "scenarios": [planned]}))
        Draft7Validator(schema).validate(document)
        assert schema["$defs"]["PlannedScenario"]["properties"].keys() == planned.keys()
        planned["extra"] = 1
        assert not Draft7Validator(schema).is_valid({**document, "scenarios": [planned]})


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


def test_the_baseline_of_a_gate_that_compares_with_it_is_in_the_shortest_load(tmp_path: Path) -> None:
    text = SCENARIO.replace("p99 < gateway.timeout during", "p99 < 2x baseline during")
    (cell,) = needs(tmp_path, text.replace("for: 90s", "for: 100s"))
    ratio = cell.gates[0]
    assert set(ratio.phases_s) == {"azure-latency", "baseline"}
    fault_s, after_s = (math.ceil(gate.times.healthy_s or 0) for gate in cell.gates)
    assert cell.least_s == pytest.approx(10 + fault_s + 5 + fault_s + 5 + after_s, abs=7)
    shortest = (f"load.baseline={fault_s}s", f"faults[0].for={fault_s + 5}s", f"load.recovery={after_s}s")
    (again,) = needs(tmp_path, text, *shortest)
    assert again.load_s == pytest.approx(cell.least_s, abs=2)


def test_a_recovery_needs_its_time_after_the_fault_alone(tmp_path: Path) -> None:
    (cell,) = needs(tmp_path, SCENARIO.replace("errors < 1% after", "recovery < 15s after"))
    phases_s = cell.gates[1].phases_s
    assert phases_s["after azure-latency"] == cell.gates[1].times.healthy_s
    assert (phases_s["after azure-latency"] or 0) > 15
    assert (phases_s["baseline"] or 0) < 1


@pytest.mark.parametrize("gate", ["max < 5s", "errors = 0"])
def test_a_load_of_no_length_is_never_proposed(tmp_path: Path, gate: str) -> None:
    faults = SCENARIO[SCENARIO.index("faults:") : SCENARIO.index("gates:")]
    text = SCENARIO.replace(faults, "").replace("baseline: 60s, recovery: 60s", "duration: 60s")
    text = text[: text.index("gates:")] + f"gates: [{gate}]\n"
    (cell,) = needs(tmp_path, text)
    assert cell.least_s == 10 + 5
    (cell,) = needs(tmp_path, text.replace("40/s", "0.1/s"))
    assert cell.least_s == 10 + 10


STREAM = "{{rate: 20/s, requests: [GET /a, {{name: b, request: GET /b, stages: [{}]}}], duration: 90s}}"
RATES_THAT_CHANGE = {
    "a stream that begins late": STREAM.format("{rate: 0/s, for: 50s}, {rate: 20/s, for: 40s}"),
    "a stream that ends early": STREAM.format("{rate: 20/s, for: 40s}"),
    "stages": "{request: GET /a, stages: [{rate: 20/s, for: 40s}, {rate: 40/s, for: 50s}]}",
    "a ramp": "{request: GET /a, stages: [{rate: 20/s, for: 40s}, {rate: 40/s, for: 50s, shape: ramp}]}",
}


@pytest.mark.parametrize("load", RATES_THAT_CHANGE.values(), ids=RATES_THAT_CHANGE)
def test_at_a_rate_that_changes_neither_an_outage_nor_a_shortest_load_is_said(tmp_path: Path, load: str) -> None:
    named = " for b" if "name: b" in load else ""
    (cell,) = needs(tmp_path, f"name: s\nservice: {{rung: timeout}}\nupstreams: {{azure: {{}}}}\nload: {load}\n"
                    f"gates: [p99{named} < 2s]\n")  # fmt: skip
    assert cell.least_s is None
    assert cell.gates[0].times.outage_s is None
    assert cell.gates[0].times.healthy_s is not None
    (note,) = cell.notes
    assert note.startswith("the rate of requests changes during the load, so no shortest load is known")


def test_a_phase_in_which_the_rate_is_constant_has_its_outage(tmp_path: Path) -> None:
    text = SCENARIO.replace("rate: 40/s", "stages: [{rate: 40/s, for: 190s}, {rate: 20/s, for: 30s}]").replace(
        ", baseline: 60s, recovery: 60s", ", baseline: 60s"
    )
    (cell,) = needs(tmp_path, text)
    assert cell.gates[0].times.outage_s is not None
    assert cell.gates[1].times.outage_s is None
