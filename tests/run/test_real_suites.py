"""Matrices, pooled runs and closed load with real processes, from a folder that holds nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.run.real_runs import INCIDENT, TAILGATE, Running, run

pytestmark = pytest.mark.stack

LADDER = INCIDENT + "matrix: {vary: {service.rung: [parallel, timeout]}, expect: {parallel: [fail]}}\n"


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


def test_one_cell_of_a_matrix_may_be_run_alone(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    ran = Running(tmp_path, LADDER, "--only", "timeout", "--json", env=toxiproxy_env).end()
    assert ran.code == 0, ran.stdout + ran.stderr
    assert [cell["cell"] for cell in json.loads(ran.stdout)["cells"]] == ["timeout"]
    missing = Running(tmp_path, LADDER, "--only", "thread", env=toxiproxy_env).end()
    assert missing.code == 2
    assert "no cell is called thread" in missing.stderr
    assert "fix: cells: parallel, timeout" in missing.stderr


def test_a_ladder_that_is_not_as_expected_fails(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    wrong = LADDER.replace("expect: {parallel: [fail]}", "expect: {timeout: [fail]}").replace(
        "[parallel, timeout]", "[timeout]"
    )
    ran = Running(tmp_path, wrong, env=toxiproxy_env).end()
    assert ran.code == 1, ran.stdout + ran.stderr
    assert "Not as expected: timeout is PASS, expected fail." in ran.stdout


def test_runs_are_pooled_until_they_decide(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """Each window alone is too short for its clump; two of them are not."""
    scenario = INCIDENT.replace("clump: 12ms", "clump: 30ms, runs: 3").replace("rate: 80/s", "rate: 60/s")
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
    scenario = INCIDENT.replace("rate: 80/s", "users: 30").replace("for: 9s", "for: 13s")
    ran = run(tmp_path, scenario, env=toxiproxy_env)
    assert ran.code == 0, ran.stdout + ran.stderr
    assert ran.results["run"]["load"]["model"] == "closed"


def test_several_scenarios_make_one_document(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    (tmp_path / "second.yaml").write_text(INCIDENT.replace("name: incident", "name: second"))
    ran = Running(tmp_path, INCIDENT, "second.yaml", "--json", env=toxiproxy_env).end()
    assert ran.code == 0, ran.stdout + ran.stderr
    document = json.loads(ran.stdout)
    assert document["kind"] == "suite"
    assert [one["scenario"]["name"] for one in document["runs"]] == ["incident", "second"]


@pytest.mark.beside
def test_a_stop_while_everything_starts_leaves_nothing_and_is_no_verdict(
    tmp_path: Path, toxiproxy_env: dict[str, str]
) -> None:
    running = Running(tmp_path, INCIDENT, "--json", env=toxiproxy_env)
    running.wait_for(lambda run_dir: (run_dir / "plan.json").exists())
    running.process.send_signal(signal.SIGINT)
    ran = running.end()
    assert ran.code == 130, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["exit_code"] == 130
    assert "PASS" not in ran.stdout


def test_doctor_runs_everything_once_and_leaves_nothing(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    env = {**os.environ, **toxiproxy_env, "XDG_CACHE_HOME": str(tmp_path)}
    asked = [TAILGATE, "doctor", "--json"]
    ran = subprocess.run(asked, check=False, capture_output=True, text=True, env=env, timeout=90)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    findings = {finding["check"]: finding for finding in json.loads(ran.stdout)["findings"]}
    assert findings["load"]["state"] == "ok", findings
    assert (tmp_path / "tailgate" / "ceiling.json").exists()


@pytest.mark.beside
def test_doctor_names_the_command_that_mends_it(tmp_path: Path) -> None:
    env = {**os.environ, "PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path)}
    env.pop("TOXIPROXY_URL", None)
    ran = subprocess.run([TAILGATE, "doctor"], check=False, capture_output=True, text=True, env=env, timeout=90)
    assert ran.returncode == 4
    assert "✗ toxiproxy" in ran.stdout
    assert "fix: run `tailgate toxiproxy install`" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "this machine cannot run tailgate yet"
