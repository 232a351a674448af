"""Matrices, pooled runs and closed load with real processes, from a folder that holds nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.run.real_runs import LIGHT_INCIDENT, TAILGATE, Running, run

pytestmark = [pytest.mark.stack, pytest.mark.beside]

LADDER = (
    LIGHT_INCIDENT.replace("p90 < gateway.timeout during", "errors < 10% during").replace(
        "complete > 90% during azure-slow", "p50 < 10s"
    )
    + "matrix: {vary: {service.rung: [parallel, timeout]}, expect: {parallel: [fail]}}\n"
)
"""No latency limit is short, so that up to 100 ms of send lag on a busy machine do not matter."""


def test_a_ladder_as_expected_passes_and_says_what_happened(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    running = Running(tmp_path, LADDER, env=toxiproxy_env)
    ran = running.end()
    assert ran.code == 0, ran.stdout + ran.stderr
    folder = tmp_path / ran.last_line.split()[-1]
    assert ran.last_line.startswith("PASS incident .runs")
    assert "All 2 cells ended as expected." in ran.stdout
    assert "requests during azure-slow got a 504 when the gateway gave up after 2.00 s" in ran.stdout
    document = json.loads((folder / "results.json").read_bytes())
    assert [(cell["cell"], cell["verdict"], cell["as_expected"]) for cell in document["cells"]] == [
        ("parallel", "fail", True),
        ("timeout", "pass", True),
    ]
    for cell in document["cells"]:
        assert (folder / cell["results"]).with_name("report.html").exists()
    before = (folder / "results.json").read_bytes()
    again = subprocess.run([TAILGATE, "judge", str(folder)], check=False, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout
    assert (folder / "results.json").read_bytes() == before


@pytest.mark.nightly  # by day `make test` runs the whole ladder of the test before
def test_one_cell_of_a_ladder_may_be_run_alone_and_fails_if_it_is_not_as_expected(
    tmp_path: Path, toxiproxy_env: dict[str, str]
) -> None:
    wrong = LADDER.replace("expect: {parallel: [fail]}", "expect: {timeout: [fail]}")
    ran = Running(tmp_path, wrong, "--only", "timeout", env=toxiproxy_env).end()
    assert ran.code == 1, ran.stdout + ran.stderr
    assert "Not as expected: timeout is PASS, expected fail." in ran.stdout
    document = json.loads((tmp_path / ran.last_line.split()[-1] / "results.json").read_bytes())
    assert [(cell["cell"], cell["as_expected"]) for cell in document["cells"]] == [("timeout", False)]


def test_a_cell_that_the_matrix_does_not_have_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    missing = Running(tmp_path, LADDER, "--only", "thread").end()
    assert missing.code == 2
    assert "no cell is called thread" in missing.stderr
    assert "fix: cells: parallel, timeout" in missing.stderr


@pytest.mark.nightly
def test_runs_are_pooled_until_they_decide(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """Each window alone is too short for its clump; two of them are not.

    By day tests/verdict/test_judge_cli.py pools runs that are made up.
    """
    scenario = LIGHT_INCIDENT.replace("clump: 50ms", "clump: 250ms, runs: 3")
    ran = Running(tmp_path, scenario, env=toxiproxy_env).end()
    assert ran.code == 0, ran.stdout + ran.stderr
    assert "still inconclusive after 1 of 3 runs" in ran.stderr
    folder = tmp_path / ran.last_line.split()[-1]
    assert sorted(path.name for path in folder.glob("run-*")) == ["run-1", "run-2"]
    pooled = json.loads((folder / "results.json").read_bytes())
    alone = json.loads((folder / "run-1" / "results.json").read_bytes())
    assert (pooled["verdict"], alone["verdict"]) == ("pass", "inconclusive")
    assert pooled["gates"][0]["n"] > 1.9 * alone["gates"][0]["n"]
    assert (folder / "report.html").exists()


def test_closed_load_is_locusts_own(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    scenario = LIGHT_INCIDENT.replace("rate: 20/s", "users: 10").replace("for: 7s", "for: 9s")
    ran = run(tmp_path, scenario, env=toxiproxy_env)
    assert ran.code == 0, ran.stdout + ran.stderr
    assert ran.results["run"]["load"]["model"] == "closed"


def test_several_scenarios_make_one_document(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    left_out = ("load:", "faults:", "gates:")
    calm = "".join(line for line in LIGHT_INCIDENT.splitlines(keepends=True) if not line.startswith(left_out))
    calm += "load: {request: GET /v1/offers, rate: 20/s, warmup: 500ms, duration: 5s}\ngates: [errors < 10%]\n"
    (tmp_path / "second.yaml").write_text(calm.replace("name: incident", "name: second"))
    ran = Running(tmp_path, calm, "second.yaml", "--json", env=toxiproxy_env).end()
    assert ran.code == 0, ran.stdout + ran.stderr
    document = json.loads(ran.stdout)
    assert document["kind"] == "suite"
    assert [one["scenario"]["name"] for one in document["runs"]] == ["incident", "second"]


def test_a_stop_while_everything_starts_leaves_nothing_and_is_no_verdict(
    tmp_path: Path, toxiproxy_env: dict[str, str]
) -> None:
    running = Running(tmp_path, LIGHT_INCIDENT, "--json", env=toxiproxy_env)
    running.wait_for(lambda run_dir: (run_dir / "plan.json").exists())
    running.process.send_signal(signal.SIGINT)
    ran = running.end()
    assert ran.code == 130, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["exit_code"] == 130
    assert "PASS" not in ran.stdout


@pytest.mark.alone
def test_doctor_runs_everything_once_and_leaves_nothing(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    env = {**os.environ, **toxiproxy_env, "XDG_CACHE_HOME": str(tmp_path)}
    asked = [TAILGATE, "doctor", "--json"]
    ran = subprocess.run(asked, check=False, capture_output=True, text=True, env=env, timeout=240)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    findings = {finding["check"]: finding for finding in json.loads(ran.stdout)["findings"]}
    assert findings["load"]["state"] == "ok", findings
    assert (tmp_path / "tailgate" / "ceiling.json").exists()


def test_doctor_names_the_command_that_mends_it(tmp_path: Path) -> None:
    env = {**os.environ, "PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path)}
    env.pop("TOXIPROXY_URL", None)
    ran = subprocess.run([TAILGATE, "doctor"], check=False, capture_output=True, text=True, env=env, timeout=240)
    assert ran.returncode == 4
    assert "✗ toxiproxy" in ran.stdout
    assert "fix: run `tailgate toxiproxy install`" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "this machine cannot run tailgate yet"
