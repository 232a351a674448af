"""Metrics, logs and headers: what an operator sees of a backend that is at fault."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from aggregator.monitoring import LINES_PER_S, FaultLog, JsonFormatter
from aggregator.trace import Trace
from tests.aggregator.world import DEADLINE_S, Mock, World, page

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The error lines, as they would stand on stderr."""
    formatter = JsonFormatter()
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    return [json.loads(formatter.format(record)) for record in errors]


def test_a_deadline_that_fires_is_logged_with_backend_and_request(caplog: pytest.LogCaptureFixture) -> None:
    world = World({"azure": Mock(60.0), "gcp": Mock(0.1)}, "timeout")
    world.ask("/v1/offers", headers={"x-request-id": "r-17", "traceparent": TRACEPARENT})
    (line,) = lines(caplog)
    assert line.pop("time")
    assert line == {
        "level": "ERROR",
        "message": "backend azure left out of the answer: timeout",
        "backend": "azure",
        "reason": "timeout",
        "detail": "no whole answer within 1 s",
        "elapsed_ms": DEADLINE_S * 1000,
        "request_id": "r-17",
        "traceparent": TRACEPARENT,
    }


def test_a_backend_that_fails_is_logged_by_every_rung(caplog: pytest.LogCaptureFixture) -> None:
    World({"azure": Mock(fails=httpx.ConnectError("refused")), "gcp": Mock()}, "sequential").ask("/v1/offers")
    (line,) = lines(caplog)
    assert (line["backend"], line["reason"], line["detail"]) == ("azure", "connection", "refused")


def test_a_healthy_request_logs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    World({"azure": Mock(0.1)}).ask("/v1/offers")
    assert lines(caplog) == []


def test_many_failures_make_few_lines_and_none_goes_uncounted(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 100.0
    fault_log = FaultLog(lambda: now_s)
    for _ in range(40):
        fault_log.left_out("azure", "timeout", "", 1.0, Trace("r"))
    assert len(lines(caplog)) == LINES_PER_S
    fault_log.left_out("aws", "timeout", "", 1.0, Trace("r"))  # another backend has lines of its own
    assert len(lines(caplog)) == LINES_PER_S + 1
    now_s = 101.0
    fault_log.left_out("azure", "timeout", "", 1.0, Trace("r"))
    fault_log.left_out("azure", "timeout", "", 1.0, Trace("r"))
    after, last = lines(caplog)[-2:]
    assert after["lines_left_out"] == 40 - LINES_PER_S
    assert "lines_left_out" not in last


def test_metrics_tell_the_backends_apart() -> None:
    mocks = {"azure": Mock(60.0), "aws": Mock(fails=httpx.Response(503)), "gcp": Mock(0.07)}
    world = World(mocks, "timeout")
    world.ask(*["/v1/offers"] * 3)
    text = world.metrics.text().decode().splitlines()
    for line in (
        'aggregator_backend_calls_total{backend="gcp",outcome="ok"} 3.0',
        'aggregator_backend_calls_total{backend="azure",outcome="timeout"} 3.0',
        'aggregator_backend_calls_total{backend="aws",outcome="error"} 3.0',
        'aggregator_backend_timeouts_total{backend="azure"} 3.0',
        'aggregator_backend_timeouts_total{backend="gcp"} 0.0',
        'aggregator_backend_errors_total{backend="aws",reason="http_503"} 3.0',
        'aggregator_backend_seconds_bucket{backend="gcp",le="0.05"} 0.0',
        'aggregator_backend_seconds_bucket{backend="gcp",le="0.1"} 3.0',
        'aggregator_backend_in_flight{backend="azure"} 0.0',
        'aggregator_requests_total{status="200"} 3.0',
        "aggregator_requests_in_flight 0.0",
    ):
        assert line in text


def test_the_answer_times_each_backend_that_was_asked() -> None:
    world = World({"azure": Mock(60.0), "gcp": Mock(0.1)}, "timeout")
    (reply,) = world.ask("/v1/offers")
    assert reply.response.headers["server-timing"] == 'azure;dur=1000.0;desc="timeout", gcp;dur=100.0'


def test_trace_and_request_id_reach_the_backends_with_every_page() -> None:
    world = World({"azure": Mock(pages=[[], []])})
    (reply,) = world.ask("/v1/offers", headers={"x-request-id": "r-17", "traceparent": TRACEPARENT})
    assert [(call["x-request-id"], call["traceparent"]) for call in world.headers] == [("r-17", TRACEPARENT)] * 2
    assert reply.response.headers["x-request-id"] == reply.body["request_id"] == "r-17"


def test_a_request_without_an_id_gets_one_of_its_own() -> None:
    world = World({"azure": Mock()})
    first, second = world.ask("/v1/offers", "/v1/offers")
    assert first.body["request_id"] != second.body["request_id"]
    assert {call["x-request-id"] for call in world.headers} == {first.body["request_id"], second.body["request_id"]}
    assert "traceparent" not in world.headers[0]


def test_an_id_that_is_none_is_not_passed_on() -> None:
    for value in (b"a b", b'"; DROP', b"x" * 129, b"\xff"):
        assert Trace.of([(b"x-request-id", value)]).request_id.isalnum()


def test_a_bug_is_a_500_that_says_nothing_and_a_log_that_says_all(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.backend._parse", lambda body: 1 / 0)
    (reply,) = World({"azure": Mock(fails=page([]))}, "parallel").ask("/v1/offers")
    assert reply.response.status_code == 500
    assert reply.body["error"] == {"message": "internal error"}
    (line,) = lines(caplog)
    assert line["request_id"] == reply.body["request_id"]
    assert "ZeroDivisionError" in str(line["exception"])
