"""Upstreams that tailgate starts: how a scenario spells them, what is planned, and what is told of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.secrets.expand import known_secrets
from tests.scenario.world import changed, load, only_problem, plan_of, problems

SERVICE = ("{rung: timeout}", "{command: [python3, -m, serve, '{port}', '{gcp.url}']}")


def of(spelled: str, *more: tuple[str, str]) -> str:
    """The good scenario with gcp spelled so, and a service of the user's."""
    return changed(("gcp: {}", f"gcp: {spelled}"), SERVICE, *more)


def test_http_goes_through_the_forwarder_to_a_port_of_its_own(tmp_path: Path) -> None:
    spelled = "{command: 'python3 -m mock --port {port}', ready: GET /up within 3s, env: {A: 'x{port}'}}"
    planned = plan_of(load(tmp_path, of(spelled))).upstream("gcp")
    command, forward = planned.command, planned.forward
    assert command is not None and forward is not None
    assert command.argv == ("python3", "-m", "mock", "--port", str(command.port))
    assert command.env == {"A": f"x{command.port}"}
    assert command.cwd == str(tmp_path)
    assert (command.ready_method, command.ready_path, command.ready_within_ms) == ("GET", "/up", 3000)
    assert (forward.scheme, forward.host, forward.port) == ("http", "127.0.0.1", command.port)
    assert len({planned.listener.port, planned.origin.port, command.port}) == 3
    assert planned.records_calls
    assert planned.url == f"http://127.0.0.1:{planned.listener.port}"


@pytest.mark.parametrize(
    ("more", "scheme", "within_ms"),
    [
        ("protocol: redis", "redis", 10_000),
        ("protocol: postgres, ready: within 30s", "postgres", 30_000),
        ("observe: false", "http", 10_000),
    ],
)
def test_without_the_forwarder_toxiproxy_connects_to_it(
    tmp_path: Path, more: str, scheme: str, within_ms: float
) -> None:
    planned = plan_of(load(tmp_path, of(f"{{command: 'python3 -m mock {{port}}', {more}}}"))).upstream("gcp")
    assert planned.command is not None
    assert planned.forward is None
    assert planned.origin.port == planned.command.port
    assert (planned.command.ready_path, planned.command.ready_within_ms) == (None, within_ms)
    assert planned.url == f"{scheme}://127.0.0.1:{planned.listener.port}"
    assert not planned.records_calls


# (how gcp is spelled, part of the message, part of the fix); each is the only problem of its scenario
WRONG = [
    ("{command: python3 -m mock}", "nothing tells it the port", "put {port} into the command"),
    ("{command: 'nowhere-to-be-found {port}'}", "`nowhere-to-be-found` was not found on PATH", "install it"),
    ("{command: './absent {port}'}", "absent does not exist", "relative to `cwd`"),
    ("{command: 'python3 {port} | tee log'}", "`|` needs a shell", "sh, -c"),
    ("{command: 'python3 {prt} {port}'}", "no template `{prt}`", "did you mean `port`?"),
    ("{command: 'python3 {port}', env: {A: '{azure.url}'}}", "no template `{azure.url}`", "there is only `port`"),
    ("{command: 'python3 {port} ${NO_SUCH_VARIABLE}'}", "has no `NO_SUCH_VARIABLE`", "export NO_SUCH_VARIABLE=…"),
    ("{command: 'python3 {port}', cwd: nowhere}", "nowhere is not a folder", "relative to this file"),
    ("{command: 'python3 {port}', ready: soon}", "is not a readiness probe", "GET /healthz within 10s"),
    ("{command: 'python3 {port}', ready: within soon}", "`soon` is not a duration", "within 10s"),
    ("{command: 'python3 {port}', protocol: redis, ready: GET /}", "speaks Redis", "ready: within 30s"),
    ("{command: 'python3 {port}', protocol: redis, observe: false}", "not observed anyway", "remove `observe`"),
    ("{command: 'python3 {port}', protocol: kafka}", "advertises", "a fixed `port`"),
    ("{command: 'python3 {port}', protocol: reddis}", "not the text `reddis`", "did you mean `redis`?"),
    ("{command: 'python3 {port}', p50: 3ms}", "an upstream with `command` has no `p50`", ""),
]


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong[0] for wrong in WRONG])
def test_a_wrong_command_is_told(tmp_path: Path, wrong: tuple[str, str, str]) -> None:
    spelled, message, fix = wrong
    problem = only_problem(tmp_path, of(spelled))
    assert message in problem.message
    assert fix in problem.fix
    assert problem.line == 5


def test_a_program_of_the_folder_is_found_from_there(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "mock"
    program.write_text("#!/bin/sh\n")
    assert "is not executable" in only_problem(tmp_path, of("{command: './mock {port}', cwd: bin}")).message
    program.chmod(0o755)
    assert problems(tmp_path, of("{command: './mock {port}', cwd: bin}")) == ()


def test_the_client_of_containers_is_warned_of(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    loaded = load(tmp_path, of("{command: './docker run -p {port}:80 nginx'}"))
    (warning,) = [each for each in loaded.warnings if each.path == "upstreams.gcp.command"]
    assert "only the client" in warning.message
    others = load(tmp_path, of("{command: 'python3 docker {port}'}")).warnings
    assert not [each for each in others if "client" in each.message]


def test_secrets_stay_out_of_the_plan_and_are_known_for_the_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_TOKEN", "s3cret-of-the-mock")
    monkeypatch.setenv("MOCK_ARGUMENT", "other-s3cret")
    text = of("{command: 'python3 {port} ${MOCK_ARGUMENT}', env: {TOKEN: '${MOCK_TOKEN}'}}")
    plan = plan_of(load(tmp_path, text))
    assert "s3cret" not in plan.model_dump_json()
    assert known_secrets(plan, {"MOCK_TOKEN": "s3cret-of-the-mock", "MOCK_ARGUMENT": "other-s3cret"}) == {
        "s3cret-of-the-mock",
        "other-s3cret",
    }
