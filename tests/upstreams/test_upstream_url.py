"""URLs of real upstreams: what the plan and the service get of them, and every way to write one wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from harness.upstreams.protocols import SCHEMES
from harness.upstreams.upstream_url import parse_url


@pytest.mark.parametrize(
    ("text", "host", "port", "given_url"),
    [
        ("http://localhost:8080", "localhost", 8080, "http://127.0.0.1:9001"),
        ("http://partner.example/v2?key=1", "partner.example", 80, "http://127.0.0.1:9001/v2?key=1"),
        ("https://partner.example", "partner.example", 443, "https://127.0.0.1:9001"),
        ("HTTPS://[2001:db8::1]:8443/x", "2001:db8::1", 8443, "https://127.0.0.1:9001/x"),
        ("postgres://app:${PG_PASS}@db/app", "db", 5432, "postgres://app:${PG_PASS}@127.0.0.1:9001/app"),
        ("postgresql://db:6543/app?sslmode=require", "db", 6543, "postgresql://127.0.0.1:9001/app?sslmode=require"),
        ("mysql://root@h/shop", "h", 3306, "mysql://root@127.0.0.1:9001/shop"),
        ("redis://:${P:-a@b:c/d}@cache/0", "cache", 6379, "redis://:${P:-a@b:c/d}@127.0.0.1:9001/0"),
        ("rediss://cache", "cache", 6379, "rediss://127.0.0.1:9001"),
        ("amqps://mq/%2f?heartbeat=5", "mq", 5671, "amqps://127.0.0.1:9001/%2f?heartbeat=5"),
        ("tcp://10.0.0.7:7000", "10.0.0.7", 7000, "tcp://127.0.0.1:9001"),
        (
            "postgres://app@db.example/app?sslmode=verify-full",
            "db.example",
            5432,
            "postgres://app@db.example:9001/app?sslmode=verify-full&hostaddr=127.0.0.1",
        ),
    ],
)
def test_the_service_gets_the_same_url_with_the_listener_in_it(text: str, host: str, port: int, given_url: str) -> None:
    url = parse_url(text)
    assert (url.host, url.port) == (host, port)
    assert url.verifies_listener == ""
    assert url.parts(url.scheme).around("127.0.0.1", 9001) == given_url


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("localhost:8080", "is not a URL", "SCHEME://HOST:PORT"),
        ("ftp://h", "`ftp` is no scheme", "`tcp`"),
        ("http://", "is not a host and a port", "SCHEME://HOST:PORT"),
        ("http://a b", "is not a URL", ""),
        ("http://h:0", "0 is not a port", "1 to 65535"),
        ("http://h:99999", "99999 is not a port", "1 to 65535"),
        ("http://h:x", "is not a host and a port", ""),
        ("kafka://a:9092,b:9092", "without a list of several", ""),
        ("tcp://h", "must name its port", "HOST:PORT"),
        ("grpc://h", "must name its port", "HOST:PORT"),
        ("postgres://app:hunter2@db/app", "a password stands in the scenario", "${DB_PASSWORD}"),
        ("postgres://app:a${B}@db/app", "a password stands in the scenario", "${DB_PASSWORD}"),
        ("${DATABASE_URL}", "must be known before anything starts", "--set"),
        ("http://${HOST}/x", "must be known before anything starts", "--set"),
        ("http://h:${PORT}", "must be known before anything starts", "--set"),
        (8080, "expected a URL, not the number 8080", ""),
        ("http://" + "x" * 3_000, "is not a URL", ""),
    ],
)
def test_mistakes(text: object, message: str, fix: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        parse_url(text)
    context = caught.value.context or {}
    assert message in context["message"]
    assert fix in context["fix"]
    assert "hunter2" not in context["message"] + context["fix"]


@given(st.text(max_size=60) | st.from_regex(r"[a-z]{1,8}://[!-~]{0,40}", fullmatch=True))
def test_nonsense_is_refused_or_read_but_never_more(text: str) -> None:
    try:
        url = parse_url(text)
    except PydanticCustomError:
        return
    assert 0 < url.port < 65_536
    assert url.host


def test_an_empty_password_and_a_user_alone_are_no_password() -> None:
    assert not parse_url("redis://app@h").has_password
    assert parse_url("redis://:${P}@h").has_password


def test_the_address_for_libpq_is_that_of_the_listener() -> None:
    parts = parse_url("postgres://app@db.example/app?sslmode=verify-full").parts("postgres")
    assert parts.around("10.0.0.5", 9001).endswith("@db.example:9001/app?sslmode=verify-full&hostaddr=10.0.0.5")


@pytest.mark.parametrize(
    ("query", "option"),
    [
        ("ssl-mode=VERIFY_IDENTITY", "ssl-mode=VERIFY_IDENTITY"),
        ("sslMode=verify_identity&x=1", "sslMode=verify_identity"),
        ("ssl_verify_identity=true", "ssl_verify_identity=true"),
        ("sslmode=verify-full", "sslmode=verify-full"),
        ("ssl-mode=VERIFY_CA", ""),
        ("ssl_verify_identity=false", ""),
        ("x=VERIFY_IDENTITY", ""),
    ],
)
def test_a_mysql_client_that_verifies_the_name_is_recognized(query: str, option: str) -> None:
    for scheme in ("mysql", "mariadb"):
        assert parse_url(f"{scheme}://app@h/shop?{query}").verifies_listener == option
    assert parse_url(f"redis://h/0?{query}").verifies_listener == ""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("user", ["hunter2", "hunter2:"])
def test_a_user_alone_is_a_token_in_http_and_a_name_elsewhere(scheme: str, user: str) -> None:
    text = f"{scheme}://{user}@h:9/x"
    if scheme not in ("http", "https"):
        assert parse_url(text).user == f"{user}@"
        return
    with pytest.raises(PydanticCustomError) as caught:
        parse_url(text)
    context = caught.value.context or {}
    assert context["is_secret"] and "${API_TOKEN}" in context["fix"]
    assert "hunter2" not in context["message"] + context["fix"]


@pytest.mark.parametrize("user", ["", "${T}@", "${T:-test}@", "${T}:@", "app:${P}@", "${U}:${P}@"])
def test_http_takes_variables_and_a_user_with_a_password(user: str) -> None:
    assert parse_url(f"https://{user}h/x").user == user
