"""`load.login`: what is refused, what the plan has of it, and what `validate` shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import UsageError
from harness.scenario.preview import preview
from harness.secrets.expand import known_secrets, refuse_unsendable
from tests.scenario.world import changed, load, only_problem, plan_of, problems, write

LINE = "request: GET /v1/offers"
SIGN_IN = "login: {request: {request: POST /token, json: {user: me}}, save: {token: access_token}}"
HEADERS = 'headers: {Authorization: "Bearer {token}", X-Of: "{azure.url}"}'
GOOD_LOGIN = changed((LINE, f"{LINE}\n  {HEADERS}\n  {SIGN_IN}"))


def login(text: str, *more: str) -> str:
    return changed((LINE, "\n  ".join((LINE, text, *more))))


def test_the_plan_has_the_login_and_its_headers(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, GOOD_LOGIN))
    found = plan.load.login
    assert found is not None
    assert (found.method, found.path, found.body) == ("POST", "/token", '{"user": "me"}')
    azure = plan.upstreams[0].url
    assert found.headers == {"X-Of": azure, "Content-Type": "application/json"}, "no header that needs a token"
    assert (found.save, found.users, found.every_ms, found.by_row) == ({"token": "access_token"}, 10, None, False)
    assert plan.load.requests[0].headers == {"Authorization": "Bearer {token}", "X-Of": azure}


def test_what_is_saved_may_be_in_path_body_and_headers(tmp_path: Path) -> None:
    request = (
        "{request: 'POST /o?t={token}&u={id}', headers: {X-T: '{token}', X-U: '{azure.url}'}, body: '{id} {{id}}'}"
    )
    save = "login: {request: GET /token, save: {token: a.b, id: 'user.id'}, users: 3, every: 10m}"
    plan = plan_of(load(tmp_path, changed((LINE, f"request: {request}\n  {save}"))))
    sent = plan.load.requests[0]
    assert (sent.path, sent.body) == ("/o?t={token}&u={id}", "{id} {{id}}")
    assert sent.headers == {"X-T": "{token}", "X-U": plan.upstreams[0].url}
    assert plan.load.login is not None
    assert (plan.load.login.users, plan.load.login.every_ms) == (3, 600_000)


def test_a_session_takes_its_row_where_the_login_has_columns(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user,password\nann,a\nben,b\n")
    text = login(
        "data: users.csv",
        "login: {request: {request: POST /token, json: {u: '{user}', p: '{password}'}}, save: {token: t}, users: 2}",
    )
    planned = plan_of(load(tmp_path, text)).load.login
    assert planned is not None and planned.by_row
    assert [w.message for w in load(tmp_path, text).warnings] == []
    more = text.replace("users: 2", "users: 5")
    assert [w.message for w in load(tmp_path, more).warnings] == [
        "users.csv has 2 rows for 5 sessions, so several sign in as the same user"
    ]
    without = text.replace("{u: '{user}', p: '{password}'}", "{u: me}")
    planned = plan_of(load(tmp_path, without)).load.login
    assert planned is not None and not planned.by_row


@pytest.mark.parametrize(
    ("text", "path", "message", "fix"),
    [
        (
            "login: {request: POST /token}",
            "load.login.save",
            "`save` is missing",
            "add save: …",
        ),
        (
            "login: {request: POST /token, save: {}}",
            "load.login.save",
            "expected a mapping of names to JMESPath expressions, not a mapping",
            "write {token: access_token}",
        ),
        (
            "login: {request: POST /token, save: {to-ken: a}}",
            "load.login.save",
            "`to-ken` is not a name that requests can use",
            "write {token: access_token}: letters, digits and _",
        ),
        (
            "login: {request: POST /token, save: {port: a}}",
            "load.login.save",
            "`{port}` has a meaning of its own",
            "choose another name",
        ),
        (
            "login: {request: POST /token, save: {token: 'a['}}",
            "load.login.save",
            "not a JMESPath expression: Invalid jmespath expression: Incomplete expression:",
            "such as data.access_token",
        ),
        (
            "login: {request: {request: POST /token, weight: 2}, save: {token: a}}",
            "load.login.request.weight",
            "unknown key `weight`",
            "`weight` belongs to a request",
        ),
        (
            "login: {request: POST /token, save: {token: a}, users: 0}",
            "load.login.users",
            "0 is too small here",
            "write at least 1",
        ),
        (
            "login: {request: POST /token, save: {token: a}, users: 600, every: 30s}",
            "load.login.every",
            "600 sessions renewed every 30s are a load of their own",
            "write at least 60s, or fewer `users`",
        ),
        (
            "login: {request: 'POST /{token}', save: {token: a}}\n  data: d.csv",
            "load.login.request",
            "the login saves `{token}`, so it has none yet when it is sent",
            "remove it here",
        ),
        (
            "login: {request: {request: POST /t, headers: {X: '{token}'}}, save: {token: a}}",
            "load.login.request.headers.X",
            "there is no template `{token}`",
            None,
        ),
        (
            "login: {request: POST /token, save: {n: a}}\n  data: d.csv",
            "load.login.save.n",
            "`{n}` would be a column of the data file as well as saved by the login",
            "choose another name",
        ),
        (
            "login: {request: POST /token, save: {token: a}}\n  headers: {X: '{tokem}'}",
            "load.headers.X",
            "`{tokem}` is not saved by the login",
            "did you mean `token`?; for the text itself write {{tokem}}",
        ),
        (
            "login: {request: POST /token, save: {token: a}}\n  headers: {X: '{m}'}\n  data: d.csv",
            "load.headers.X",
            "`{m}` is not a column of the data file, nor saved by the login",
            None,
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(text: str, path: str, message: str, fix: str | None, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("n\n1\n")
    problem = only_problem(tmp_path, login(text))
    assert (problem.path, problem.message) == (path, message)
    assert fix is None or problem.fix == fix


def test_the_services_own_headers_cannot_have_a_token(tmp_path: Path) -> None:
    text = GOOD_LOGIN.replace("{rung: timeout}", "{rung: timeout, headers: {X: '{token}'}}")
    assert only_problem(tmp_path, text).path == "service.headers.X", "they are sent with the readiness probe as well"


def test_a_locustfile_signs_in_itself(tmp_path: Path) -> None:
    (tmp_path / "l.py").write_text("")
    text = changed((LINE, f"locustfile: l.py\n  {SIGN_IN}"))
    assert "a locustfile signs in itself" in [problem.message for problem in problems(tmp_path, text)]


def test_no_gate_is_about_the_login(tmp_path: Path) -> None:
    text = GOOD_LOGIN.replace("errors < 1%", 'errors for "POST /token" < 1%')
    assert only_problem(tmp_path, text).message == "there is no request `POST /token`"


def test_a_literal_secret_is_refused_and_a_variable_of_the_login_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_login = "login: {request: {request: POST /t, headers: {X-Api-Key: %s}}, save: {token: a}}"
    assert "stands in the scenario" in only_problem(tmp_path, login(of_login % "abcdef123")).message
    monkeypatch.setenv("LOGIN_KEY", "k3y-of-the-login")
    plan = plan_of(load(tmp_path, login(of_login % '"${LOGIN_KEY}"')))
    assert known_secrets(plan, {"LOGIN_KEY": "k3y-of-the-login"}) == {"k3y-of-the-login"}
    with pytest.raises(UsageError, match="X-Api-Key"):
        refuse_unsendable(plan, {"LOGIN_KEY": "ends in a line\n"})


def test_validate_shows_the_sessions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOD_LOGIN.replace("access_token}}", "access_token}, every: 10m}")
    (cell,) = preview(load(tmp_path, text))
    assert cell.login is not None
    assert (cell.login.request, cell.login.users, cell.login.every_ms) == ("POST /token", 10, 600_000)
    with pytest.raises(SystemExit):
        main(["validate", str(write(tmp_path, text))])
    shown = capsys.readouterr().out
    assert (
        "    login POST /token: 10 sessions before the load, each renewed every 10m 00s; no part of what is measured\n"
    ) in shown


def test_a_path_without_data_is_not_warned_of_where_a_login_fills_it(tmp_path: Path) -> None:
    assert load(tmp_path, changed((LINE, f"request: 'GET /o?t={{token}}'\n  {SIGN_IN}"))).warnings == ()
