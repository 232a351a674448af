"""Runs that do not begin: a clear reason, a way out, and nothing left behind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.run.real_runs import LIGHT_INCIDENT, Running, run

pytestmark = pytest.mark.stack


COMMAND = LIGHT_INCIDENT.replace("{rung: timeout}", '{command: [COMMAND, "{port}"], ready: GET /healthz within 2s}')


@pytest.mark.beside
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("python3, -c, 'raise SystemExit(\"no price list\")'", "no price list"),
        pytest.param(
            "python3, -c, 'import time; time.sleep(60)'", "was not ready within 2s", marks=pytest.mark.nightly
        ),
    ],
)
def test_a_service_that_never_gets_ready(
    tmp_path: Path, toxiproxy_env: dict[str, str], command: str, says: str
) -> None:
    ran = run(tmp_path, COMMAND.replace("COMMAND", command), env=toxiproxy_env)
    assert ran.code == 4, ran.stdout + ran.stderr
    assert says in ran.stderr
    assert "fix: " in ran.stderr


@pytest.mark.beside
def test_a_service_whose_program_is_not_there_starts_nothing(tmp_path: Path) -> None:
    ran = run(tmp_path, COMMAND.replace("COMMAND", "no-such-program, --port"))
    assert ran.code == 2, ran.stdout + ran.stderr
    assert "`no-such-program` was not found on PATH" in ran.stderr
    assert ran.run_dir is None


@pytest.mark.beside
def test_a_port_in_use_names_who_has_it(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        scenario = LIGHT_INCIDENT.replace("azure: {p50", f"azure: {{port: {port}, p50")
        ran = Running(tmp_path, scenario, env=toxiproxy_env).end()
    assert ran.code == 4
    assert f"port {port} (the listener of upstream azure) is in use by" in ran.stderr
    assert f"(pid {os.getpid()})" in ran.stderr
    assert ran.verdict == "RIG_FAILURE"
    assert "rig    ✗ the listener of upstream azure" in ran.stdout


@pytest.mark.beside
def test_no_toxiproxy_says_how_to_get_it(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache"), "TOXIPROXY_URL": None}
    ran = run(tmp_path, LIGHT_INCIDENT, env=env)
    assert ran.code == 4
    assert "no Toxiproxy found" in ran.stderr
    assert "fix: run `tailgate toxiproxy install`" in ran.stderr
    assert ran.run_dir is None


@pytest.mark.beside
def test_scenario_mistakes_start_nothing(tmp_path: Path) -> None:
    wrong = LIGHT_INCIDENT.replace("rate: 20/s", "rate: 20").replace("upstream: azure", "upstream: azur") + "gate: []\n"
    ran = run(tmp_path, wrong)
    assert ran.code == 2
    assert "scenario.yaml:7:" in ran.stderr
    assert "20 has no unit" in ran.stderr
    assert "fix: did you mean `azure`?" in ran.stderr
    assert "unknown key `gate`" in ran.stderr
    assert ran.stderr.splitlines()[-1] == "3 problems; nothing was started"
    assert ran.run_dir is None


@pytest.mark.beside
def test_a_target_outside_loopback_needs_leave(tmp_path: Path) -> None:
    ran = run(
        tmp_path,
        "name: x\nservice: {url: http://192.0.2.1}\ngateway: {kind: none}\n"
        "load: {request: GET /, rate: 40/s}\ngates: [p99 < 1s]\n",
    )
    assert ran.code == 2
    assert "--allow-target 192.0.2.1" in ran.stderr
