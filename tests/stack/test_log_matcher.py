"""Whom a line of a log names, and whom an alert metric: texts as services of many kinds write them."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rundir.planned.upstream import PlannedUpstream
from harness.stack.detection.log_matcher import LINE_MOST, LogParser, UpstreamMatcher
from tests.hostile.texts import HOSTILE
from tests.rundir.recording import make_plan

NAMES = ("azure", "gcp", "aws", "oci", "gcp-eu", "error")


def upstreams(*names: str) -> tuple[PlannedUpstream, ...]:
    """Their listeners are on ports 20000, 20001 … in this order."""
    return make_plan(upstreams=names).upstreams


def named(*lines: str, names: tuple[str, ...] = NAMES) -> list[str]:
    """Whom the last of these lines names."""
    blame = LogParser(UpstreamMatcher(upstreams(*names)))
    return sorted([blame.named(line) for line in lines][-1])


@pytest.mark.parametrize(
    "line",
    [
        "ERROR azure did not answer",
        "2026-01-02 03:04:05,678 WARNING app.backends: azure: timed out",
        "2026-01-02T03:04:05Z CRITICAL [azure] gone",
        "[2026-01-02 03:04:05 +0000] [17] [error] backend azure",
        "2026/01/02 03:04:05 [warn] 17#0: upstream azure is slow",
        "2026-01-02T03:04:05.678Z\terror\toffers/client.go:17\tcall failed\tazure",
        "E, [2026-01-02T03:04:05.678 #17] ERROR -- : azure",
        "W0102 15:04:05.678901      17 client.go:17] azure: deadline exceeded",
        "error: azure failed",
        "warning azure is slow",
        "Error: request to azure failed",
        "level=error backend=azure",
        'time="2026-01-02T03:04:05Z" level=warning msg="azure: timeout"',
        "\x1b[31mERROR\x1b[0m \x1b[1mazure\x1b[0m timed out",
        "\x1b[33mwarn\x1b[39m: azure",
        "FATAL: Azure is gone",
        "ERROR backend=azure.",
        "ERROR (azure)",
        "ERROR app.backends.azure timed out",
        "ERROR Cannot connect to host 127.0.0.1:20000 ssl:default [Connect call failed]",
        "ERROR HTTPConnectionPool(host='127.0.0.1', port=20000): Read timed out.",
        "ERROR GET http://localhost:20000/offers: timeout",
        "ERROR connect ECONNREFUSED 127.0.0.1:20000",
        '{"level":"error","backend":"azure"}',
        '{"level":50,"msg":"no answer","upstream":{"name":"azure"}}',
        '{"levelname":"WARNING","message":"azure is slow"}',
        '{"levelno":30,"message":"azure is slow"}',
        '{"severity":"ERROR","labels":["x",{"backend":"azure"}]}',
        '{"severity":4,"short_message":"azure"}',
        '{"log":{"level":"error"},"message":"azure"}',
        '{"@timestamp":"x","log.level":"WARN","message":"azure"}',
        '{"level":"error","errors":{"azure":"timeout"}}',
        '{"level":"error","stack":"TimeoutError\\nazure"}',
        '{"level":"error","url":"http://127.0.0.1:20000/offers"}',
        '{"level":"error","port":20000}',
        'offers-1  | {"level":"error","backend":"azure"}',
        "[15:04:05 WRN] azure is slow",
        "3:04PM WRN azure is slow backend=x",
        "15:04:05.678 [W] azure is slow",
        "[E] azure failed",
        "Jan  2 03:04:05 host fanout[12]: warning: azure is slow",
        '{"level":"W","backend":"azure"}',
        'ERROR "GET /offers?backend=azure&level=info HTTP/1.1" failed',
        " WARNING azure timed out",
        "  2026-01-02T03:04:05.678Z  WARN offers::client: azure timed out",
        "    [error] azure timed out",
        "\tlevel=error backend=azure",
        "ERROR [Errno 111] Connect call failed ('127.0.0.1', 20000)",
        "ERROR ('::1', 20000, 0, 0) refused",
        'ts=1 msg="azure INFO budget" level=error',
        "ts=1 msg='ERROR azure failed'",
        "offers.client ERROR azure answered level=info",
    ],
)
def test_azure_is_named(line: str) -> None:
    assert named(line) == ["azure"]


@pytest.mark.parametrize(
    "line",
    [
        "INFO azure answered",
        "DEBUG azure: 200",
        "azure failed",
        "INFO azure answered with ERROR",
        "ERROR azure2 failed",
        "ERROR lazure, azured, azure_client, azure-west, my-azure",
        "ERROR laws, social and gcp2",
        "ERRORS azure",
        "NOTERROR azure",
        "level=info backend=azure msg=error",
        '127.0.0.1 - - "GET /offers?backend=azure&level=error HTTP/1.1" 200',
        "/offers?level=error&backend=azure 200",
        "backend=azure&level=error",
        '127.0.0.1 "GET /offers?backend=azure&state=ERROR HTTP/1.1" 200',
        '{"path":"/offers?backend=azure&level=error","status":200}',
        "[15:04:05 INF] azure answered",
        "[I] azure answered with [E]",
        "Jan  2 03:04:05 host fanout[12]: info: azure: warning",
        "ERROR took 20000 ms, elapsed:20000, 120000",
        "ERROR 127.0.0.1:200001 and 127.0.0.1:2000",
        '{"level":"info","backend":"azure","error":"ERROR"}',
        '{"level":30,"backend":"azure"}',
        '{"level":6,"backend":"azure"}',
        '{"level":true,"backend":"azure"}',
        '{"level":null,"message":"ERROR azure"}',
        '{"level":"error","elapsed_ms":20000}',
        '{"backend":"azure"}',
        "event='azure answered ERROR' level='info'",
        'ts=1 msg="azure WARN budget" level=info',
        'ts=1 msg="azure said \\"WARN\\" twice" level=info',
        "GET /offers azure 200 ERROR=0",
        "ERROR ('example', 20000) and ['azure2', 20000]",
        '{"level":"²","backend":"azure"}',
        '{"level":' + "9" * 400 + ',"backend":"azure"}',
        "    error: azure",
        "",
        " azure",
    ],
)
def test_nobody_is_named(line: str) -> None:
    assert named(line) == []


def test_a_line_names_everybody_it_holds_the_name_of() -> None:
    assert named("ERROR asked aws, azure, gcp; azure failed") == ["aws", "azure", "gcp"]
    assert named("ERROR gcp-eu failed") == ["gcp-eu"]


def test_an_upstream_called_like_a_level() -> None:
    assert named("ERROR azure failed") == ["azure"]
    assert named("ERROR backend error failed") == ["error"]
    assert named('{"level":"error","backend":"azure"}') == ["azure"]
    assert named('{"level":"error","backend":"error"}') == ["error"]
    assert named("level=error backend=error") == ["error"]
    assert named("INFO error answered") == []


def test_a_traceback_belongs_to_what_it_follows() -> None:
    traceback = [
        "Traceback (most recent call last):",
        '  File "app.py", line 17, in ask',
        "    await answer",
        "TimeoutError: azure",
    ]
    assert named("ERROR could not ask", *traceback) == ["azure"]
    assert named("INFO could not ask", *traceback) == []
    assert named(*traceback) == [], "of no level is known"
    assert named("ERROR x", *traceback, "azure: asked") == [], "the traceback was over"
    assert named("ERROR x", *traceback, "", "During handling of the above", "Traceback (most recent", "E: gcp") == [
        "gcp"
    ]
    assert named("ERROR x", "\tat com.example.Client.ask(Client.java:17)", "  and azure") == ["azure"]
    assert named("ERROR x", "Caused by: java.net.SocketTimeoutException: azure") == ["azure"]
    assert named("ERROR x", "  gcp", "INFO azure") == []
    assert named("ERROR x", "    err: {", '      "message": "azure"') == ["azure"], "as pino prints it"
    assert named("INFO x", "    err: azure") == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["ERROR:    gcp failed", "    INFO azure is fine"], []),
        (["INFO start", " WARNING azure timed out", "   ERROR gcp timed out"], ["gcp"]),
        (["INFO start", "  2026-01-02 03:04:05 warn azure is slow"], ["azure"]),
        (["svc.client: ERROR gcp failed", "\tat a.b(C.java:1)", "svc.client: INFO azure answered"], []),
        (["svc: INFO starting:", "  detail", "svc: ERROR azure failed"], ["azure"]),
        (["ERROR x", "Traceback (most recent call last):", '  File "y"', "svc.client: INFO azure answered"], []),
        (["ERROR x", "  at y", "started: azure"], []),
    ],
)
def test_a_line_with_a_level_of_its_own_belongs_to_nobody(lines: list[str], expected: list[str]) -> None:
    assert named(*lines) == expected


def test_a_letter_that_only_looks_like_another_names_nobody() -> None:
    assert named("ERROR aw\u017f and \u212a", names=("aws", "k")) == []


def test_what_follows_a_long_line_costs_little() -> None:
    """The supervisor that reads it applies the faults as well."""
    blame = LogParser(UpstreamMatcher(upstreams("azure")))
    begin_s = time.process_time()
    blame.named("x " * (LINE_MOST // 2 - 10) + "ERROR")
    assert all(blame.named(" azure") for _ in range(9_000))
    assert time.process_time() - begin_s < 1


def test_whom_a_line_holds_without_naming_it() -> None:
    blame = LogParser(UpstreamMatcher(upstreams(*NAMES)))
    lines = ["INFO azure and gcp", "azure failed", "  azure again", "ERROR azure failed", "  azure again"]
    told = [tuple(sorted(names) for names in blame.heard(line)) for line in lines]
    assert told == [([], ["azure", "gcp"]), ([], ["azure"]), ([], ["azure"]), (["azure"], []), (["azure"], [])]


def test_no_upstreams_are_never_named() -> None:
    assert LogParser(UpstreamMatcher(())).named("ERROR azure :20000") == frozenset()


def test_of_a_long_line_the_beginning_counts() -> None:
    assert named("ERROR azure " + "x" * 10 * LINE_MOST) == ["azure"]
    assert named("ERROR " + "x " * LINE_MOST + "azure") == []
    assert named('{"level":"error","backend":"azure","body":"' + "x" * LINE_MOST + '"}') == ["azure"]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts_name_whom_they_are_about(text: str) -> None:
    assert named(f"ERROR azure {text}".split("\n", maxsplit=1)[0], names=("azure", "gcp")) == ["azure"]
    line = json.dumps({"level": "error", "backend": "azure", "text": text})
    assert named(line, names=("azure", "gcp")) == ["azure"]


@given(st.lists(st.text(max_size=60) | st.sampled_from(["ERROR azure", '{"level":', "Traceback ", "\x1b[", "}"])))
def test_any_log_can_be_read(lines: list[str]) -> None:
    blame = LogParser(UpstreamMatcher(upstreams(*NAMES)))
    for line in lines:
        assert blame.named(line) <= set(NAMES)


@pytest.mark.parametrize(
    "line",
    ["?" * 16_000, "?a" * 8_000, "?a=" * 5_000, "[1" * 8_000,
     "(" * 16_000, "azure " * 2_700, "{" * 16_000 + "}", '{"a":' * 3_000 + "}" * 3_000, "\x1b]" * 8_000, "[ " * 8_000,
     "1 " * 8_000, "level " * 2_700, "//" + "a." * 8_000, "a=\"" * 4_000, "='" * 8_000, "=\"" + " \\" * 8_000,
     " " * 16_000, "12:34 " * 2_700, "('127.0.0.1', " * 1_100, "port " * 3_000, "error-" * 2_700],
)  # fmt: skip
def test_no_line_takes_long(line: str) -> None:
    begin_s = time.process_time()
    named(f"{line} ERROR azure")
    named(f"azure {line}")
    named("INFO x", f"  {line} azure")
    assert time.process_time() - begin_s < 0.5
