"""How the service is started, and what is kept of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import RigError
from harness.rundir.plan import Plan, PlannedService
from harness.secrets.expand import Expander
from harness.stack.processes import service, workers
from harness.stack.processes.ports import PortLease
from tests.stack.stack_scene import make_plan


@pytest.fixture
def plan(tmp_path: Path, run_id: str) -> Iterator[Plan]:
    with PortLease(tmp_path / "locks") as lease:
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
    assert (tmp_path / "sut.env").read_text() == "# cd . && sh '${FLAG}'\nDB=pg://${PASS}@db\n"


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
    assert workers.last_error(lines) == said
