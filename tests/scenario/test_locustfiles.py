"""A scenario with a user's locustfile: what is refused before anything starts, and what reaches the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.run.run import Options
from harness.rundir.plan import Plan
from harness.scenario import load_scenario
from harness.scenario.names.locustfile_imports import check_locustfile
from harness.scenario.schema.locust_options import option_words
from harness.secrets.expand import known_secrets
from harness.upstreams.upstream_files import UnreadableFile
from tests.scenario.world import changed, only_problem, plan_of, problems, write

USERS = "from locust import FastHttpUser, task\n"


def scenario(*load: str) -> str:
    return changed(("request: GET /v1/offers", "\n  ".join(("locustfile: users.py", *load))))


def planned(folder: Path, *load: str, users: str = USERS) -> Plan:
    (folder / "users.py").write_text(users)
    return plan_of(load_scenario(write(folder, scenario(*load)), ()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "users.py").write_text(USERS)
    return tmp_path


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os\ndef broken(:\n", "users.py:2: invalid syntax"),
        (
            "import faker_of_nobody\n",
            "users.py:1 imports `faker_of_nobody`, which is not installed where tailgate runs",
        ),
        ("def late():\n    from faker_of_nobody.sub import X\n", "users.py:2 imports `faker_of_nobody`"),
        ("import beside\n", "beside.py:1 imports `faker_of_nobody`"),
        ("import harness.errors\n", "users.py:1 imports `harness`, which is also a package of tailgate"),
        ("\0\n", "users.py is not Python"),
    ],
)
def test_what_cannot_be_loaded_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "users.py").write_text(text)
    (folder / "beside.py").write_text("import faker_of_nobody\n")
    (folder / "harness").mkdir()
    with pytest.raises(UnreadableFile) as refused:
        check_locustfile(folder / "users.py")
    assert message in refused.value.message
    assert refused.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "import os, json, locust, gevent\nfrom locust.contrib.fasthttp import FastHttpUser\n",
        "try:\n    import faker_of_nobody\nexcept ImportError:\n    faker_of_nobody = None\n",
        "try:\n    import faker_of_nobody\nexcept (ModuleNotFoundError, OSError):\n    pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import faker_of_nobody\n",
        "import sys\nsys.path.append('lib')\nimport faker_of_nobody\n",
        "import beside, package.sub\n",
    ],
)
def test_what_may_load_is_not_refused(folder: Path, text: str) -> None:
    (folder / "users.py").write_text(text)
    (folder / "beside.py").write_text("import users\n")
    (folder / "package").mkdir()
    check_locustfile(folder / "users.py")


@pytest.mark.parametrize("name", ["reports", "scenarios", "harness", "fake_backends", "aggregator"])
def test_a_folder_of_our_name_beside_it_is_no_matter_unless_it_is_imported(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    check_locustfile(folder / "users.py")


def test_a_missing_import_is_a_problem_of_the_scenario(folder: Path) -> None:
    (folder / "users.py").write_text("import faker_of_nobody\n")
    problem = only_problem(folder, scenario())
    assert problem.path == "load.locustfile"
    assert "-m pip install faker_of_nobody" in problem.fix


# ---------------------------------------------------------------- the keys beside it


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("data: rows.csv", "a locustfile reads its own data"),
        ("asks: {offers: [azure, nobody]}", "there is no upstream `nobody`"),
        ("max_users: 0", "0 is too small here"),
        ("locust_options: {users: 7}", "`users` is an option of Locust's that the scenario sets"),
        ("locust_options: {run-time: 1m}", "`run-time` is an option"),
        ("locust_options: {csv-full-history: true}", "`csv-full-history` is an option"),
        ("locust_options: {--region: eu}", "an option's name has no dashes before it"),
        ("locust_options: {region: {a: b}}", "expected a text, a number, true or a list of texts"),
        ("locust_options: {key: '${NOT_SET_ANYWHERE}'}", "the environment has no `NOT_SET_ANYWHERE`"),
    ],
)
def test_what_cannot_be_honoured_is_refused(folder: Path, line: str, message: str) -> None:
    (folder / "rows.csv").write_text("a\n1\n")
    assert message in only_problem(folder, scenario(line)).message


@pytest.mark.parametrize("line", ["max_users: 3", "locust_options: {region: eu}", "asks: {offers: [azure]}"])
def test_what_is_for_a_locustfile_needs_one(tmp_path: Path, line: str) -> None:
    text = changed(("request: GET /v1/offers", f"request: GET /v1/offers\n  {line}"))
    assert "is for a `locustfile`, and there is none" in only_problem(tmp_path, text).message


def test_max_users_and_users_are_the_same_thing_twice(folder: Path) -> None:
    text = scenario("max_users: 3").replace("rate: 40/s", "users: 3")
    assert any("`users` says how many users there are" in problem.message for problem in problems(folder, text))


def test_a_fault_that_no_named_request_asks_is_refused(folder: Path) -> None:
    problem = only_problem(folder, scenario("asks: {offers: [gcp]}"))
    assert "no request asks `azure`" in problem.message
    assert problem.fix == "add `azure` to `load.asks`"


def test_gates_may_name_any_request_of_a_locustfile(folder: Path) -> None:
    text = scenario().replace("errors < 1% during", 'errors for "/v1/offers" < 1% during')
    assert problems(folder, text) == ()


def test_throughput_has_no_planned_bound_since_an_arrival_may_send_several_requests(folder: Path) -> None:
    for gate in ("throughput > 90/s during", 'throughput for "/v1/offers" > 90/s during'):
        assert problems(folder, scenario().replace("errors < 1% during", gate)) == ()
    sent = scenario().replace("locustfile: users.py", "request: GET /v1/offers")
    assert (
        "no more than that can end ok" in only_problem(folder, sent.replace("errors < 1%", "throughput > 90/s")).message
    )


def test_every_arrival_may_be_any_request(folder: Path) -> None:
    load = planned(folder).load.with_names(("a", "b"), ())
    assert load.places(("a",)) == load.places(()) == {0}
    (stream,) = load.streams
    assert stream.share(load.places(("b",))) == 1


def test_the_plan_has_what_the_worker_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION_KEY", "a-secret-of-the-test")
    plan = planned(
        folder,
        "headers: {authorization: 'Bearer ${REGION_KEY}', x-gateway: '{gateway.url}'}",
        "max_users: 3",
        "asks: {offers: [azure, gcp], login: []}",
        "locust_options: {region: '${REGION_KEY}', fast: true, slow: false, tags: [a, b], n: 3}",
    )
    load = plan.load
    assert (load.max_users, load.locustfile_asks) == (3, {"offers": ("azure", "gcp"), "login": ()})
    assert load.locust_options == ("--region=${REGION_KEY}", "--fast", "--tags", "a", "b", "--n=3")
    (unnamed,) = load.requests
    assert unnamed.asks == ("azure", "gcp")
    assert unnamed.headers["authorization"] == "Bearer ${REGION_KEY}"
    assert unnamed.headers["x-gateway"].startswith("http://127.0.0.1:")
    assert known_secrets(plan, {"REGION_KEY": "a-secret-of-the-test"}) == {"a-secret-of-the-test"}


def test_names_that_came_become_requests_of_the_load(folder: Path) -> None:
    load = planned(folder, "asks: {offers: [azure]}").load.with_names(("login", "offers"), ("azure", "gcp"))
    assert [(request.name, request.asks) for request in load.requests[1:]] == [("login", ()), ("offers", ("azure",))]
    load = planned(folder).load.with_names(("login",), ("azure", "gcp"))
    assert load.requests[1].asks == ("azure", "gcp")


def test_options_are_words_of_the_command_line() -> None:
    assert option_words({"a": "x y", "b": True, "c": False, "d": ("1", "2")}) == ("--a=x y", "--b", "--d", "1", "2")


def test_allowed_hosts_are_an_option_of_the_run() -> None:
    assert Options(out=Path(), allowed=("db.example.test",)).allowed == ("db.example.test",)
