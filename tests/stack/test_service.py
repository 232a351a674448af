"""How the service is started, and what is kept of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import RigError
from harness.rundir.plan import Plan
from harness.rundir.planned.service import PlannedService
from harness.secrets.expand import Expander
from harness.stack.load import local_workers
from harness.stack.processes import service
from tests.own_ports import own_lease
from tests.stack.stack_scene import make_plan


@pytest.fixture
def plan(tmp_path: Path, run_id: str) -> Iterator[Plan]:
    with own_lease(tmp_path / "locks") as lease:
        yield make_plan(lease, run_id, upstreams=2)


def _serve(plan: Plan, **service: object) -> Plan:
    fields = {"kind": "command", "url": "http://127.0.0.1:1", "port": 1, **service}
    return plan.model_copy(update={"service": PlannedService.model_validate(fields)})


def test_the_plans_environment_wins_and_limits_are_left_alone(plan: Plan, tmp_path: Path) -> None:
    plan = _serve(plan, argv=("sh",), env={"AGGREGATOR_BACKEND_DEADLINE_MS": "500", "HOME": "/x"})
    environ = {"HOME": "/root", "PATH": os.environ["PATH"]}
    spec = service.spec(plan, tmp_path, environ, Expander({}))
    assert spec is not None
    assert spec.env == {"HOME": "/x", "PATH": os.environ["PATH"], "AGGREGATOR_BACKEND_DEADLINE_MS": "500"}
    assert spec.raise_limits is False


def test_references_are_filled_in_for_the_process_alone(plan: Plan, tmp_path: Path) -> None:
    plan = _serve(plan, argv=("sh", "${FLAG}"), env={"DB": "pg://${PASS}@db"})
    spec = service.spec(plan, tmp_path, dict(os.environ), Expander({"FLAG": "-x", "PASS": "top-secret"}))
    assert spec is not None
    assert spec.argv == ("sh", "-x")
    assert spec.env["DB"] == "pg://top-secret@db"
    service.write_env(plan, tmp_path)
    assert (tmp_path / "sut.env").read_text() == '# cd . && sh "${FLAG}"\nDB=pg://${PASS}@db\n'


AWKWARD = {
    "PLAIN": "http://127.0.0.1:20001",
    "EMPTY": "",
    "URL": "http://h/?a=1&b=$HOME;`id`",
    "SPACED": "two \"words\" \\ and 'more'",
    "LINES": "first\nsecond",
    "REFERENCE": 'pg://${USERNAME}:${PASS:-none}@db/$1 "x" `id`',
    "ONLY": "${USERNAME}",
}
SHOW = "import json, os, sys; print(json.dumps([os.getcwd(), sys.argv[1:], dict(os.environ)]))"


@pytest.mark.parametrize("padding", ["", "x" * 2_000], ids=["short", "too-long-for-a-message"])
def test_the_command_by_hand_starts_the_same_in_a_shell(plan: Plan, tmp_path: Path, *, padding: str) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    env = {**AWKWARD, **({"PADDING": padding} if padding else {})}
    argv = (sys.executable, "-c", SHOW, "a b", "${USERNAME}'s $5")
    plan = _serve(plan, argv=argv, env=env, cwd=str(folder))
    environ = {"USERNAME": "Zoë 'x'", "PATH": os.environ["PATH"]}
    started = service.spec(plan, tmp_path, environ, Expander(environ))
    assert started is not None
    service.write_env(plan, tmp_path)
    command = service.command_by_hand(plan.service, tmp_path / service.ENV_FILE)
    assert len(command) < 1_000
    ran = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, check=True, timeout=30)
    cwd, words, got = json.loads(ran.stdout)
    assert cwd == str(started.cwd)
    assert words == list(started.argv[3:])
    assert {name: got[name] for name in env} == {name: started.env[name] for name in env}


def test_a_secret_written_out_is_not_in_the_command_by_hand(plan: Plan, tmp_path: Path) -> None:
    plan = _serve(plan, argv=("serve",), env={"DB_PASS": "hunter2", "API_TOKEN": "${T}", "SIZE": "3"})
    env_file = tmp_path / service.ENV_FILE
    assert service.command_by_hand(plan.service, env_file) == f"(set -a && . {env_file} && cd . && serve)"
    plan = _serve(plan, argv=("serve",), env={"API_TOKEN": "${T}", "SIZE": "3"})
    assert service.command_by_hand(plan.service, env_file) == 'cd . && env API_TOKEN="${T}" SIZE=3 serve'


def test_a_relative_command_is_relative_to_its_folder(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    program = tmp_path / "app" / "serve"
    program.write_text("#!/bin/sh\n")
    plan = _serve(plan, argv=("./serve",), cwd=str(tmp_path / "app"))
    with pytest.raises(RigError, match="may not be executed"):
        service.spec(plan, tmp_path, {}, Expander({}))
    program.chmod(0o755)
    spec = service.spec(plan, tmp_path, {}, Expander({}))
    assert spec is not None and spec.cwd == tmp_path / "app"


def test_the_scenarios_own_path_is_searched(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "offers-server").write_text("#!/bin/sh\n")
    (tmp_path / "offers-server").chmod(0o755)
    plan = _serve(plan, argv=("offers-server",), env={"PATH": str(tmp_path)})
    assert service.spec(plan, tmp_path, {"PATH": "/usr/bin"}, Expander({})) is not None


def test_a_service_by_url_has_no_process(plan: Plan, tmp_path: Path) -> None:
    plan = _serve(plan, kind="url", url="http://127.0.0.1:8000")
    assert service.spec(plan, tmp_path, {}, Expander({})) is None
    service.write_env(plan, tmp_path)
    assert (tmp_path / "sut.env").read_text() == ""


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "its log is empty"),
        (["starting", "bye"], "bye"),
        (["Traceback (most recent call last):", '  File "x.py"', "    b()", "KeyError: 'g'", "done"], "KeyError: 'g'"),
        (
            ["Traceback (most recent call last):", "  a", "ValueError: first", "", "During handling …",
             "Traceback (most recent call last):", "  b", "OSError: second"],
            "OSError: second",
        ),
        (["Traceback (most recent call last):", "  cut short"], "  cut short"),
    ],
)  # fmt: skip
def test_the_last_error_of_a_log_is_what_its_traceback_ends_in(lines: list[str], said: str) -> None:
    assert local_workers.last_error(lines) == said
