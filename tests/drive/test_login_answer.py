"""What a login's answer means, and that a message about it shows no token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.rundir.planned.login import PlannedLogin
from scenarios.drive.login.login_answer import LoginAnswer, LoginFailed, credentials, saved_values

OK = ((200, 399),)
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc123"


def login(**changes: Any) -> PlannedLogin:
    return PlannedLogin(**{"method": "POST", "path": "/t", "save": {"token": "access.token"}, "users": 1, **changes})


def saved(
    status: int, body: Any, *, planned: PlannedLogin | None = None, secrets: tuple[str, ...] = ()
) -> dict[str, str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return saved_values(planned or login(), OK, LoginAnswer(status, raw), secrets)


def failure(status: int, body: Any, **more: Any) -> LoginFailed:
    with pytest.raises(LoginFailed) as failed:
        saved(status, body, **more)
    assert TOKEN not in failed.value.reason
    return failed.value


def test_texts_and_numbers_are_saved() -> None:
    planned = login(save={"token": "access.token", "id": "user.id", "first": "roles[0]"})
    body = {"access": {"token": TOKEN}, "user": {"id": 17}, "roles": ["admin"]}
    assert saved(200, body, planned=planned) == {"token": TOKEN, "id": "17", "first": "admin"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"acess": {"token": TOKEN}}, "`access.token` finds nothing for `token` in {acess: {token: text}}"),
        ({"access": {"token": ""}}, "`access.token` finds nothing for `token` in {access: {token: text}}"),
        (
            {"access": {"token": {"value": TOKEN}}},
            "finds a mapping, not a text for `token` in {access: {token: {value: text}}}",
        ),
        ({"access": {"token": True}}, "finds a boolean, not a text"),
        ([{"a": TOKEN}, 1], "finds nothing for `token` in [{a: text}, … (2)]"),
        ({TOKEN: 1}, "finds nothing for `token` in {***: number}"),
        ({"access": {"token": "two\nlines"}}, "has a line break or characters that are not Latin"),
    ],
)
def test_an_answer_without_the_value_is_shown_by_its_shape(body: Any, reason: str) -> None:
    assert reason in failure(200, body).reason
    assert "two" not in failure(200, body).reason


@pytest.mark.parametrize(
    ("status", "body", "reason", "fix"),
    [
        (401, {"error": "wrong password"}, 'was answered 401: {"error": "wrong password"}', "check the credentials"),
        (404, b"", "was answered 404, with an empty body", "check method and path"),
        (422, b"<h1>no</h1>\n<p>body", "was answered 422: <h1>no</h1>", "check body and headers"),
        (500, b"x" * 5000, "was answered 500: ", "see logs/sut.log"),
        (200, b"<html>", "was answered 200 with 6 bytes that are not JSON", "in JSON"),
    ],
)
def test_another_answer_is_shown_with_its_beginning(status: int, body: Any, reason: str, fix: str) -> None:
    failed = failure(status, body)
    assert failed.reason.startswith(reason)
    assert len(failed.reason) < 260
    assert fix in failed.fix


def test_the_beginning_has_no_known_secret_and_nothing_like_a_token() -> None:
    failed = failure(400, f"user hunter2 with {TOKEN} and hunter2".encode(), secrets=("hunter2",))
    assert "hunter2" not in failed.reason
    assert "*******" in failed.reason and "***" in failed.reason
    assert "user " in failed.reason


def test_a_short_token_is_hidden_by_its_name_and_where_the_server_took_it_for_a_login() -> None:
    expected = login(expect_status=((200, 200),))
    assert failure(201, {"access_token": "abc-1"}, planned=expected).reason == "was answered 201: {access_token: text}"
    assert failure(201, {}, planned=expected).fix == "check `status` in load.login.request.expect, or load.ok"
    reason = failure(400, {"error": "expired", "old": [{"refresh_token": "abc-1"}]}).reason
    assert "abc-1" not in reason and "expired" in reason


def test_a_redirect_is_no_login() -> None:
    with pytest.raises(LoginFailed, match="was answered 302, a redirect to /welcome"):
        saved_values(login(), OK, LoginAnswer(302, b"", "/welcome"), ())


def test_no_answer_is_none() -> None:
    with pytest.raises(LoginFailed, match="had no answer: none within 5 s"):
        saved_values(login(), OK, LoginAnswer(error="none within 5 s"), ())


def test_expect_decides_as_for_any_request() -> None:
    body = {"access": {"token": TOKEN}, "state": "ok"}
    assert saved(201, body, planned=login(expect_status=((201, 201),)))
    assert "was answered 200" in failure(200, body, planned=login(expect_status=((201, 201),))).reason
    assert (
        "not as its `expect` says: {access: {token: text}"
        in failure(200, body, planned=login(expect_lacks='"state"')).reason
    )
    assert saved(200, body, planned=login(expect_contains='"ok"'))


def test_credentials_are_what_is_sent_under_names_of_secrets() -> None:
    body = json.dumps({"user": "ann", "password": "hunter2", "n": 3, "client_secret": "s3cret"})
    assert set(credentials(body, {"user": "ann", "pass": "rowpass", "api_key": ""})) == {"hunter2", "s3cret", "rowpass"}
    assert list(credentials(None, {})) == list(credentials("not json", {})) == list(credentials("[1]", {})) == []
