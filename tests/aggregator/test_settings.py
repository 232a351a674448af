"""Command line and environment: what is understood, and what each mistake is told."""

from __future__ import annotations

import pytest

from aggregator.antipatterns import Antipatterns
from aggregator.settings import BackendAddress, SettingsError, parse_settings

BACKENDS = {"AGGREGATOR_BACKENDS": "azure=http://127.0.0.1:9001, gcp=https://gcp.test/api/"}
ARGV = ["--rung", "timeout", "--port", "8000"]


def test_a_whole_setting() -> None:
    settings = parse_settings([*ARGV, "--without", "parallel", "--host", "127.0.0.2"], BACKENDS)
    assert settings.policies == {"deadline", "unavailable"}
    assert settings.backends == (
        BackendAddress("azure", "http://127.0.0.1:9001"),
        BackendAddress("gcp", "https://gcp.test/api"),
    )
    assert (settings.rung, settings.host, settings.port) == ("timeout", "127.0.0.2", 8000)
    assert settings.client == "aiohttp"


def test_a_client_is_chosen_where_the_calls_are_awaited() -> None:
    argv = ["--rung", "threads", "--without", "threads", "--client", "httpx", "--port", "0"]
    assert parse_settings(argv, BACKENDS).client == "httpx"


def test_habits_are_off_unless_asked_for() -> None:
    assert parse_settings(ARGV, BACKENDS).habits == Antipatterns(
        retries=0, sessions=0, session_wait_ms=30_000, read_timeout_ms=0
    )
    assert parse_settings(ARGV, BACKENDS).habits.read_timeout_s is None
    env = {"AGGREGATOR_RETRIES": "3", "AGGREGATOR_SESSIONS": "64", "AGGREGATOR_SESSION_WAIT_MS": "500"}
    assert parse_settings(ARGV, BACKENDS | env).habits == Antipatterns(retries=3, sessions=64, session_wait_ms=500)


@pytest.mark.parametrize(("text", "seconds"), [("", None), ("0", None), ("1500", 1.5)])
def test_a_read_timeout_of_zero_is_none(text: str, seconds: float | None) -> None:
    assert parse_settings(ARGV, BACKENDS | {"AGGREGATOR_READ_TIMEOUT_MS": text}).habits.read_timeout_s == seconds


@pytest.mark.parametrize(
    ("env", "deadline_ms"),
    [
        ({}, 5000),
        ({"AGGREGATOR_GATEWAY_TIMEOUT_MS": "2000"}, 1000),
        ({"AGGREGATOR_GATEWAY_TIMEOUT_MS": "60000"}, 5000),
        ({"AGGREGATOR_GATEWAY_TIMEOUT_MS": "2000", "AGGREGATOR_BACKEND_DEADLINE_MS": "1500.5"}, 1500.5),
        ({"AGGREGATOR_BACKEND_DEADLINE_MS": "9000"}, 9000),
    ],
)
def test_the_deadline_is_half_the_gateway_timeout_and_five_seconds_at_most(
    env: dict[str, str], deadline_ms: float
) -> None:
    assert parse_settings(ARGV, BACKENDS | env).deadline_ms == deadline_ms


@pytest.mark.parametrize(
    ("argv", "env", "message"),
    [
        (["--port", "8000"], {}, "--rung"),
        (["--rung", "timeout"], {}, "--port"),
        (["--rung", "timeout", "--port", "70000"], {}, "--port 70000 is not a port"),
        (
            ["--rung", "threads", "--client", "httpx", "--port", "8000"],
            {},
            "blocking client of its own; remove --client",
        ),
        ([*ARGV, "--client", "requests"], {}, "choose from 'aiohttp', 'httpx'"),
        (["--rung", "quick", "--port", "8000"], {}, "there is no rung `quick`"),
        ([*ARGV, "--without", "pushdown"], {}, "has no policy `pushdown`"),
        (ARGV, {"AGGREGATOR_BACKENDS": ""}, "no backends are set; write AGGREGATOR_BACKENDS as azure=http://"),
        (ARGV, {"AGGREGATOR_BACKENDS": "http://127.0.0.1:9001"}, "names no backend"),
        (ARGV, {"AGGREGATOR_BACKENDS": "azure=127.0.0.1:9001"}, "no http or https address for backend `azure`"),
        (ARGV, {"AGGREGATOR_BACKENDS": "azure=http://127.0.0.1:x"}, "no http or https address for backend `azure`"),
        (ARGV, {"AGGREGATOR_BACKENDS": "a=http://h,a=http://h"}, "names `a` twice"),
        (ARGV, {"AGGREGATOR_GATEWAY_TIMEOUT_MS": "2s"}, "AGGREGATOR_GATEWAY_TIMEOUT_MS=2s is not a number of milli"),
        (ARGV, {"AGGREGATOR_RETRIES": "often"}, "AGGREGATOR_RETRIES=often is not a whole number from 0 to 100"),
        (ARGV, {"AGGREGATOR_SESSIONS": "-1"}, "AGGREGATOR_SESSIONS=-1 is not a whole number"),
        (ARGV, {"AGGREGATOR_SESSION_WAIT_MS": "0"}, "AGGREGATOR_SESSION_WAIT_MS=0 is not a number of milliseconds"),
        (
            ARGV,
            {"AGGREGATOR_READ_TIMEOUT_MS": "-1"},
            "AGGREGATOR_READ_TIMEOUT_MS=-1 is not a number of milliseconds above zero, or zero for none",
        ),
        (ARGV, {"AGGREGATOR_BACKEND_DEADLINE_MS": "0"}, "AGGREGATOR_BACKEND_DEADLINE_MS=0 is not a number"),
    ],
)
def test_a_mistake_is_told(argv: list[str], env: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(argv, BACKENDS | env)
