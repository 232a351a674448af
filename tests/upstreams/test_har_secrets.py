"""Credentials in HAR recordings: none may be in what is read, wherever the recording has it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from harness.upstreams.routes.har.secrets import json_without_secrets, names_a_secret, pairs_without_secrets
from tests.upstreams.har_files import Entry, answer_of, entry, mitmproxy_entry, pairs, read

SECRET = "S3CR3T-ab12"
NAMES = (
    "authorization", "Authorization", "cookie", "token", "access_token", "accessToken", "X-Access-Token",
    "refresh_token", "id_token", "idToken", "api_key", "apikey", "apiKey", "X-API-Key", "secret", "client_secret",
    "clientSecret", "password", "passwd", "session", "sessionId", "JSESSIONID", "PHPSESSID", "ASP.NET_SessionId",
    "signature", "sig", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "AWSAccessKeyId", "jwt",
    "userJwt", "csrf", "X-XSRF-TOKEN", "auth", "X-Auth", "key", "private_key", "otp", "SAMLResponse",
)  # fmt: skip
OTHERS = (
    "author", "assignment", "design", "keyword", "monkey", "passenger", "compass", "page", "limit", "obsession",
    "sessions_count", "content-type", "etag", "next_page_token", "nextToken", "pageToken", "continuationToken",
    "access-control-allow-credentials", "Access-Control-Allow-Headers", "x-request-id", "www-authenticate", "id",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_secrets(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize("name", OTHERS)
def test_names_of_what_a_service_needs(name: str) -> None:
    assert not names_a_secret(name)


def everywhere(name: str) -> list[Entry]:
    """Recordings with the secret in each place where HAR has one."""
    url = f"https://user:{SECRET}@api.example.com/x?to=BER&{name}={SECRET}&again={SECRET[:0]}"
    link = f"https://files.example.org/f?a=1&{name}={SECRET}"
    recorded = entry(url, headers=[("X-Here", "1"), ("Set-Cookie", f"sid={SECRET}"), ("Link", f"<{link}>; rel=next")])
    request, response = recorded["request"], recorded["response"]
    request["headers"] += pairs([(name, SECRET), ("cookie", f"sid={SECRET}")])
    request["queryString"] += pairs([(name, SECRET)])
    request["cookies"] = response["cookies"] = pairs([("sid", SECRET)])
    request["postData"] = {"mimeType": "application/json", "text": SECRET, "params": pairs([(name, SECRET)])}
    response["headers"] += pairs([(name, SECRET), ("Location", link), ("Content-Location", f"/x#{name}={SECRET}")])
    response["redirectURL"] = link
    member: dict[str, Any] = {
        "a": [{"b": {name: SECRET}}],
        name: {"deep": [SECRET, {"value": SECRET}]},
        "links": [[link]],
    }
    member["login"] = f"postgres://app:{SECRET}@db/app"
    body = json.dumps(member)
    response["content"]["text"] = body
    encoded = base64.b64encode(body.encode()).decode()
    return [
        recorded,
        recorded | {"response": response | {"content": {"text": encoded, "encoding": "base64", "size": len(body)}}},
        mitmproxy_entry(url, f"to=BER&{name}={SECRET}".encode(), "application/x-www-form-urlencoded; charset=utf-8"),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_is_in_what_is_read(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, *everywhere(name))
    assert SECRET not in repr(found)
    (route,) = found.routes
    assert len(route.answers) == 3
    assert all(answer.query == (("to", "BER"), ("again", "")) for answer in route.answers)
    for answer in route.answers[:2]:
        body = json.loads(answer.data or b"")
        assert body["a"] == [{"b": {name: "removed"}}]
        assert body[name] == {"deep": ["removed", {"value": "removed"}]}
        assert ("X-Here", "1") in answer.headers
    assert route.answers[2].data == f"to=BER&{name}=removed".encode()
    assert any(f"`{name}`" in note for note in found.notes) or len(found.notes[0]) > 80


def test_a_name_in_which_a_secret_stands_is_not_said(tmp_path: Path) -> None:
    found = read(tmp_path, entry(f"https://api.example.com/?token%3D{SECRET}&token={SECRET}"))
    assert SECRET not in repr(found)
    assert found.notes == (
        "values were removed because their names say that they are secrets: `an unusual name`, `token`",
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_json_bytes_in_any_encoding_are_searched(tmp_path: Path, encoding: str) -> None:
    body = json.dumps({"name": "é", "token": SECRET}, ensure_ascii=False).encode(encoding)
    encoded = base64.b64encode(body).decode()
    headers = [("Content-Type", "application/json; charset=utf-16")]
    if encoding != "utf-16":
        headers = [("Content-Type", "application/json")]
    answer = answer_of(tmp_path, entry(text=encoded, encoding="base64", headers=headers))
    assert json.loads(answer.data or b"") == {"name": "é", "token": "removed"}
    assert answer.headers[0][1] in ("application/json", "application/json; charset=utf-8")


def test_shapes_and_types_stay() -> None:
    found: set[str] = set()
    given = '{"password": 1234, "token": null, "secret": true, "session": "", "pin": [1.5, "a"], "total_tokens": 57}'
    cleaned = json.loads(json_without_secrets(given, found))
    assert cleaned == {
        "password": 0, "token": None, "secret": True, "session": "", "pin": [0, "removed"], "total_tokens": 57,
    }  # fmt: skip
    assert found == {"password", "pin"}


def test_a_member_that_stands_twice_hides_nothing() -> None:
    assert "abcdef" not in json_without_secrets('{"token": "abcdef", "token": ""}', set())


def test_counts_of_tokens_stay_where_they_are_numbers() -> None:
    given = [("x-ratelimit-remaining-tokens", "149984"), ("tokens", "abc123"), ("max_tokens", "100")]
    found: set[str] = set()
    assert pairs_without_secrets(given, found) == (given[0], given[2])
    assert found == {"tokens"}


def test_a_url_within_a_query_is_searched_too(tmp_path: Path) -> None:
    answer = answer_of(tmp_path, entry(f"https://api.example.com/login?next=%2Fx%3Fpage%3D2%26token%3D{SECRET}"))
    assert answer.query == (("next", "/x?page=2&token=removed"),)
