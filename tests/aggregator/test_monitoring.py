"""Metrics, logs and headers: what an operator sees of a backend that is at fault."""

from __future__ import annotations

import json
import logging
import re

import httpx
import pytest

from aggregator.antipatterns import Antipatterns
from aggregator.backends import pages
from aggregator.monitoring.logs import LINES_PER_S, FaultLog, JsonFormatter
from aggregator.policies.deadline import DeadlineExceeded
from aggregator.trace import Trace
from tests.aggregator.world import DEADLINE_S, Mock, Reply, World

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The error lines, as they would stand on stderr."""
    return [written(record) for record in caplog.records if record.levelno >= logging.ERROR]


def written(record: logging.LogRecord) -> dict[str, object]:
    line: dict[str, object] = json.loads(JsonFormatter().format(record))
    return line


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


def test_a_backend_whose_last_known_offers_stand_in_is_not_called_left_out(caplog: pytest.LogCaptureFixture) -> None:
    mocks = {"azure": Mock(fails=httpx.Response(503), well_until_s=1.0)}
    World(mocks, "isolated").play((0.0, "/v1/offers"), (5.0, "/v1/offers"))
    (line,) = lines(caplog)
    assert line["message"] == "backend azure gave no answer, its offers of 5.0 s ago stand in: http_503"
    assert (line["age_s"], line["reason"]) == (5.0, "http_503")


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


def test_a_breaker_is_told_of_with_the_reason_and_cannot_flood(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aggregator")
    now_s = 0.0
    fault_log = FaultLog(lambda: now_s)
    error = DeadlineExceeded(1.5)
    fault_log.breaker("azure", "5 failures in a row", error)
    fault_log.breaker("azure", "a probe was answered", None)
    opened, closed = map(written, caplog.records)
    assert opened.pop("time")
    assert opened == {
        "level": "WARNING",
        "message": "backend azure is left alone: 5 failures in a row: timeout",
        "backend": "azure",
        "breaker": "open",
        "reason": "timeout",
        "detail": "no whole answer within 1.5 s",
    }
    assert (closed["level"], closed["backend"], closed["breaker"]) == ("INFO", "azure", "closed")
    for _ in range(1000):
        fault_log.breaker("azure", "", error)
        fault_log.breaker("azure", "", None)
    assert len(caplog.records) == 2 * LINES_PER_S
    now_s = 1.0
    fault_log.breaker("azure", "", error)
    assert written(caplog.records[-1])["lines_left_out"] == 1001 - LINES_PER_S


def degraded(reply: Reply) -> dict[str, float]:
    """By the metrics that were read then."""
    lines = re.findall(r'^aggregator_backend_degraded\{backend="(\w+)"\} (\S+)$', reply.response.text, re.MULTILINE)
    return {name: float(value) for name, value in lines}


@pytest.mark.parametrize("rung", ["sequential", "parallel", "timeout", "pushdown", "isolated"])
def test_every_rung_names_the_backend_that_hangs_and_says_when_it_is_well(
    rung: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aggregator")
    mocks = {"azure": Mock(60.0, well_until_s=10, well_from_s=30), "gcp": Mock(0.1)}
    requests = [(at / 10, f"/v1/offers?limit={at + 1}") for at in range(600)]
    scrapes = [(at_s, "/metrics") for at_s in (9.95, 15.0, 30.0, 59.95)]
    world = World(mocks, rung)
    before, soon, late, after = world.play(*requests, *scrapes)[-4:]
    assert degraded(before) == degraded(after) == {"azure": 0, "gcp": 0}
    assert degraded(soon) == degraded(late) == {"azure": 1, "gcp": 0}
    raised, cleared = [line for line in map(written, caplog.records) if "state" in line]
    assert (raised["level"], raised["backend"], raised["state"]) == ("WARNING", "azure", "degraded")
    assert raised["message"] == f"backend azure is degraded: {raised['why']}"
    assert raised["normal_p50_ms"] == pytest.approx(1, rel=0.1)
    assert (cleared["level"], cleared["backend"], cleared["state"]) == ("INFO", "azure", "normal")


def test_a_call_is_told_with_the_time_it_has_and_one_that_is_refused_with_none() -> None:
    mocks = {"azure": Mock(fails=httpx.ConnectError("refused")), "gcp": Mock(0.07)}
    world = World(mocks, "isolated")
    world.play(*((at / 10, f"/v1/offers?limit={at + 1}") for at in range(9)))
    text = world.metrics.text().decode().splitlines()
    for line in (
        'aggregator_backend_deadline_left_seconds_count{backend="azure"} 5.0',
        'aggregator_backend_deadline_left_seconds_count{backend="gcp"} 9.0',
        f'aggregator_backend_deadline_left_seconds_sum{{backend="gcp"}} {9 * DEADLINE_S}',
        'aggregator_backend_calls_total{backend="azure",outcome="refused"} 4.0',
        'aggregator_backend_seconds_count{backend="azure"} 5.0',
    ):
        assert line in text


def test_without_a_deadline_there_is_no_time_left_to_tell() -> None:
    world = World({"gcp": Mock(0.07)}, "parallel")
    world.ask("/v1/offers")
    assert 'aggregator_backend_deadline_left_seconds_count{backend="gcp"} 0.0' in world.metrics.text().decode()


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


@pytest.mark.parametrize("rung", ["sequential", "parallel", "timeout", "isolated"])
def test_a_bug_that_one_backends_answer_brings_out_stays_with_that_backend(
    rung: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pages._parse
    monkeypatch.setattr(pages, "_parse", lambda body: 1 / 0 if b"azure" in body else whole(body))
    world = World({"azure": Mock(), "gcp": Mock()}, rung)
    replies = world.play(*((at / 20, f"/v1/offers?limit={at + 1}") for at in range(20)))
    assert {reply.response.status_code for reply in replies} == {200}
    assert all((reply.missing, reply.names) == ({"azure": "internal"}, ["gcp"]) for reply in replies)
    told = lines(caplog)
    assert len(told) == LINES_PER_S, "a second's worth, not one for each request"
    assert told[0]["message"] == "backend azure left out of the answer: a bug, ZeroDivisionError"
    assert told[0]["request_id"] == replies[0].body["request_id"]
    assert "ZeroDivisionError" in str(told[0]["exception"])
    assert 'aggregator_backend_errors_total{backend="azure",reason="internal"} 20.0' in world.metrics.text().decode()


def test_a_bug_of_the_whole_is_a_500_that_says_nothing_and_a_log_that_says_all(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.app.offers_reply", lambda *_: 1 / 0)
    replies = World({"azure": Mock()}, "parallel").ask(*["/v1/offers"] * 20)
    assert {reply.response.status_code for reply in replies} == {500}
    assert replies[0].body["detail"] == "internal error; its log has more under the request id"
    told = lines(caplog)
    assert len(told) == LINES_PER_S
    assert told[0]["request_id"] == replies[0].body["request_id"]
    assert "ZeroDivisionError" in str(told[0]["exception"])


def test_a_pool_that_ran_empty_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    world = World({"azure": Mock(1.0)}, "parallel", habits=Antipatterns(sessions=1, session_wait_ms=100))
    *_, refused = world.play((0.0, "/v1/offers"), (0.5, "/v1/offers"))
    assert refused.response.status_code == 500
    (line,) = lines(caplog)
    assert str(line["message"]).startswith("a request failed: no database session was free within 0.1 s")
    assert line["request_id"] == refused.body["request_id"]
    assert "exception" not in line
