"""A secret that is written out in a scenario is refused, is not repeated by the message, and reaches no plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.display.output import spell
from harness.secrets.expand import known_secrets
from harness.stack.processes.service import ENV_FILE, write_env
from tests.scenario.world import changed, load, only_problem, plan_of

SERVICE = "{rung: timeout}"

# (what is changed in the scenario, the path of the problem, the variable of its fix)
WRITTEN_OUT = [
    ((SERVICE, "{rung: timeout, env: {PGPASSWORD: hunter2}}"), "service.env.PGPASSWORD", "PGPASSWORD"),
    (
        (SERVICE, "{rung: timeout, env: {DATABASE_URL: 'postgres://app:hunter2@{gcp.address}/app'}}"),
        *("service.env.DATABASE_URL", "DATABASE_PASSWORD"),
    ),
    ((SERVICE, "{rung: timeout, headers: {Authorization: Bearer hunter2}}"), "service.headers.Authorization", "AUTHOR"),
    ((SERVICE, "{command: 'python3 {port} --api-key hunter2'}"), "service.command", "API_KEY"),
    (("rate: 40/s", "rate: 40/s\n  headers: {X-Api-Key: hunter2}"), "load.headers.X-Api-Key", "X_API_KEY"),
    (
        ("request: GET /v1/offers", "request: {request: GET /, headers: {X-Token: hunter2}}"),
        *("load.request.headers.X-Token", "X_TOKEN"),
    ),
    (
        ("gcp: {}", "gcp: {command: 'python3 {port}', env: {TOKEN: hunter2}}"),
        *("upstreams.gcp.env.TOKEN", "TOKEN"),
    ),
    (
        ("gcp: {}", "gcp: {command: 'python3 {port} postgres://a:hunter2@h/'}"),
        *("upstreams.gcp.command", "PASSWORD"),
    ),
    (("gcp: {}", "gcp: 'postgres://localhost/app?password=hunter2'"), "upstreams.gcp", "PASSWORD"),
    (("gcp: {}", "gcp: {url: 'postgres://localhost/app?password=hunter2'}"), "upstreams.gcp.url", "PASSWORD"),
    (("gcp: {}", "gcp: 'postgres://app:hunter2@localhost/app'"), "upstreams.gcp.url", "DB_PASSWORD"),
]


@pytest.mark.parametrize("case", WRITTEN_OUT, ids=[case[0][1][:60] for case in WRITTEN_OUT])
def test_it_is_refused_with_the_variable_to_write(tmp_path: Path, case: tuple[tuple[str, str], str, str]) -> None:
    change, path, variable = case
    problem = only_problem(tmp_path, changed(change))
    assert problem.path == path
    assert "stands in the scenario" in problem.message
    assert f"${{{variable}" in problem.fix
    assert "hunter2" not in spell(problem)


def test_one_given_on_the_command_line_is_not_repeated_either(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, changed(), "service.env.PGPASSWORD=hunter2")
    assert "hunter2" not in spell(problem)
    assert "service.env.PGPASSWORD=…" in problem.file


def test_the_password_of_a_service_that_runs_already_is_not_repeated(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, changed((SERVICE, "{url: 'http://app:hunter2@127.0.0.1:8000'}")))
    assert "credentials" in problem.message
    assert "hunter2" not in spell(problem)


def test_a_mistake_that_is_no_secret_still_shows_its_line(tmp_path: Path) -> None:
    assert "rate: 40" in spell(only_problem(tmp_path, changed(("rate: 40/s", "rate: 40"))))


def test_a_variable_reaches_neither_plan_nor_environment_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2-of-production")
    text = changed(
        (SERVICE, "{rung: timeout, env: {PGPASSWORD: '${PGPASSWORD:-test}', URL: 'pg://a:${PGPASSWORD}@h'}}")
    )
    plan = plan_of(load(tmp_path, text))
    write_env(plan, tmp_path)
    assert "hunter2" not in plan.model_dump_json() + (tmp_path / ENV_FILE).read_text()
    assert known_secrets(plan, {"PGPASSWORD": "hunter2-of-production"}) == {"hunter2-of-production"}


def test_a_test_value_stands_as_the_default_of_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    plan = plan_of(load(tmp_path, changed((SERVICE, "{rung: timeout, env: {PGPASSWORD: '${PGPASSWORD:-test}'}}"))))
    assert plan.service.env["PGPASSWORD"] == "${PGPASSWORD:-test}"
    assert known_secrets(plan, {}) == set()
