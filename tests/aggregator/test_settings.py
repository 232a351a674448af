"""Command line and environment: what is understood, and what each mistake is told."""

from __future__ import annotations

import pytest

from aggregator.settings import BackendAddress, SettingsError, parse_settings

BACKENDS = {"AGGREGATOR_BACKENDS": "azure=http://127.0.0.1:9001, gcp=https://gcp.test/api/"}
ARGV = ["--rung", "timeout", "--port", "8000"]


def test_a_whole_setting() -> None:
    settings = parse_settings([*ARGV, "--without", "parallel", "--host", "127.0.0.2"], BACKENDS)
    assert settings.policies == {"deadline"}
    assert settings.backends == (
        BackendAddress("azure", "http://127.0.0.1:9001"),
        BackendAddress("gcp", "https://gcp.test/api"),
    )
    assert (settings.rung, settings.host, settings.port) == ("timeout", "127.0.0.2", 8000)


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
        (["--rung", "threads", "--port", "8000"], {}, "`threads` is not built yet"),
        (["--rung", "quick", "--port", "8000"], {}, "there is no rung `quick`"),
        ([*ARGV, "--without", "pushdown"], {}, "has no policy `pushdown`"),
        (ARGV, {"AGGREGATOR_BACKENDS": ""}, "no backends are set; write AGGREGATOR_BACKENDS as azure=http://"),
        (ARGV, {"AGGREGATOR_BACKENDS": "http://127.0.0.1:9001"}, "names no backend"),
        (ARGV, {"AGGREGATOR_BACKENDS": "azure=127.0.0.1:9001"}, "no http or https address for backend `azure`"),
        (ARGV, {"AGGREGATOR_BACKENDS": "azure=http://127.0.0.1:x"}, "no http or https address for backend `azure`"),
        (ARGV, {"AGGREGATOR_BACKENDS": "a=http://h,a=http://h"}, "names `a` twice"),
        (ARGV, {"AGGREGATOR_GATEWAY_TIMEOUT_MS": "2s"}, "AGGREGATOR_GATEWAY_TIMEOUT_MS=2s is not a number of milli"),
        (ARGV, {"AGGREGATOR_BACKEND_DEADLINE_MS": "0"}, "AGGREGATOR_BACKEND_DEADLINE_MS=0 is not a number"),
    ],
)
def test_a_mistake_is_told(argv: list[str], env: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(argv, BACKENDS | env)
