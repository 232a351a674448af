"""The response of a stub becomes an answer and a latency, or is refused with its place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.planned.routes import (
    PlannedAnswer,
    PlannedProfile,
)
from harness.upstreams.profiles import as_planned
from tests.upstreams.wiremock_stubs import answer, refused, route


def test_status_and_headers(tmp_path: Path) -> None:
    headers = {"Content-Type": "application/json", "Set-Cookie": ["a={1}", "b=2"], "X-None": []}
    found = answer(tmp_path, {"status": 503, "headers": headers})
    assert found.status == 503
    assert found.headers == (
        ("Content-Type", "application/json"),
        ("Set-Cookie", "a={{1}}"),
        ("Set-Cookie", "b=2"),
    )
    assert answer(tmp_path, {}).status == 200


@pytest.mark.parametrize(
    ("response", "fields"),
    [
        ({}, {}),
        ({"body": "as {it} is"}, {"text": "as {it} is"}),
        ({"body": ""}, {"text": ""}),
        ({"jsonBody": None, "body": "x"}, {"text": "x"}),
        ({"base64Body": "AP8="}, {"data": b"\x00\xff"}),
        ({"jsonBody": [1.5, None, True]}, {"has_json": True, "json_tree": [1.5, None, True]}),
        (
            {"jsonBody": {"to": "{query.dest}", "rows": [{"a": "}{"}]}},
            {"has_json": True, "json_tree": {"to": "{{query.dest}}", "rows": [{"a": "}}{{"}]}},
        ),
        ({"jsonBody": "text"}, {"has_json": True, "json_tree": "text"}),
        ({"jsonBody": 0}, {"has_json": True, "json_tree": 0}),
    ],
)
def test_each_kind_of_body(tmp_path: Path, response: dict[str, Any], fields: dict[str, Any]) -> None:
    assert answer(tmp_path, response) == PlannedAnswer(**fields)


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        ("EMPTY_RESPONSE", "empty"),
        ("CONNECTION_RESET_BY_PEER", "reset"),
        ("RANDOM_DATA_THEN_CLOSE", "garbage"),
        ("MALFORMED_RESPONSE_CHUNK", "garbage_after_head"),
    ],
)
def test_a_fault_breaks_the_answer_and_keeps_the_delay(tmp_path: Path, fault: str, broken: Any) -> None:
    found = route(tmp_path, {}, {"status": 500, "body": "x", "fault": fault, "fixedDelayMilliseconds": 5})
    assert found.answers == (PlannedAnswer(broken=broken),)
    assert found.profile == PlannedProfile(kind="constant", numbers_ms={"constant_ms": 5})


@pytest.mark.parametrize("delay_ms", [0, 250, 86_400_000])
def test_a_fixed_delay_is_constant(tmp_path: Path, delay_ms: int) -> None:
    found = route(tmp_path, {}, {"fixedDelayMilliseconds": delay_ms}).profile
    assert found == PlannedProfile(kind="constant", numbers_ms={"constant_ms": delay_ms})


def test_a_lognormal_delay_has_the_deviation_of_its_logarithm(tmp_path: Path) -> None:
    found = route(tmp_path, {}, {"delayDistribution": {"type": "lognormal", "median": 80, "sigma": 0.4}}).profile
    assert found is not None
    profile = as_planned(found)
    assert profile.latency_ms(0.5) == pytest.approx(80)
    one_deviation = 0.841344746068543  # the normal distribution's share below one deviation
    assert profile.latency_ms(one_deviation) == pytest.approx(80 * math.exp(0.4))
    assert found.numbers_ms["p99_ms"] == pytest.approx(80 * math.exp(2.3263479 * 0.4))


def test_a_uniform_delay_and_a_fixed_one_add_up(tmp_path: Path) -> None:
    uniform = {"type": "uniform", "lower": 10, "upper": 30}
    alone = route(tmp_path, {}, {"delayDistribution": uniform}).profile
    assert alone == PlannedProfile(kind="uniform", numbers_ms={"low_ms": 10, "high_ms": 30})
    both = route(tmp_path, {}, {"delayDistribution": uniform, "fixedDelayMilliseconds": 5}).profile
    assert both == PlannedProfile(kind="uniform", numbers_ms={"low_ms": 15, "high_ms": 35})


@pytest.mark.parametrize(
    ("response", "what"),
    [
        ({"status": 99}, "response.status: is not from 200 to 599"),
        ({"status": 101}, "response.status: is not from 200 to 599"),
        ({"status": "200"}, "response.status: expected a whole number, not a string"),
        ({"status": True}, "response.status: expected a whole number, not true or false"),
        ({"status": 200.0}, "response.status: expected a whole number"),
        ({"headers": {"X Y": "1"}}, "response.headers.X Y: is not a name of a header"),
        ({"headers": {"X": "a\r\nY: b"}}, "response.headers.X: has a character that a header cannot have"),
        ({"headers": {"X": ["a", "\u20ac"]}}, "response.headers.X[1]: has a character"),
        ({"headers": {"X": 5}}, "response.headers.X: expected a string, not a number"),
        ({"headers": {f"X-{n}": "1" for n in range(101)}}, "response.headers: has 101 headers"),
        ({"body": "a", "jsonBody": {}}, "response: only one of `body` and `jsonBody` can be given"),
        ({"body": {"a": 1}}, "response.body: expected a string, not an object"),
        ({"base64Body": "AP8=!"}, "response.base64Body: is not base64"),
        ({"base64Body": "AP8"}, "response.base64Body: is not base64"),
        ({"base64Body": "\u00e9"}, "response.base64Body: is not base64"),
        ({"bodyFileName": "gone.json"}, "response.bodyFileName: `__files/gone.json` cannot be read: No such file"),
        ({"fixedDelayMilliseconds": -1}, "response.fixedDelayMilliseconds: is not from 0 to 86,400,000"),
        ({"fixedDelayMilliseconds": 10**400}, "response.fixedDelayMilliseconds: is not from 0 to 86,400,000"),
        ({"delayDistribution": {"type": "fixed", "milliseconds": 1}}, "response.delayDistribution.type: expected"),
        ({"delayDistribution": {"type": "uniform", "lower": 1}}, "response.delayDistribution: has no `upper`"),
        ({"delayDistribution": {"type": "uniform", "lower": 2, "upper": 1}}, "response.delayDistribution: low must be"),
        (
            {"delayDistribution": {"type": "lognormal", "median": 9, "sigma": 0.1, "maxValue": 10}},
            "response.delayDistribution.maxValue: a greatest delay is not supported",
        ),
        ({"delayDistribution": {"type": "lognormal", "median": 0, "sigma": 1}}, "response.delayDistribution: p50 must"),
        (
            {"delayDistribution": {"type": "lognormal", "median": 9, "sigma": 999}},
            "response.delayDistribution: p50 must",
        ),
        (
            {"delayDistribution": {"type": "lognormal", "median": 9, "sigma": 1}, "fixedDelayMilliseconds": 1},
            "response.delayDistribution: a lognormal delay together with `fixedDelayMilliseconds` is not supported",
        ),
        ({"fault": "NONE"}, "response.fault: `NONE` is not one of `EMPTY_RESPONSE`"),
        ({"fault": "EMPTY_RESPONSE", "bodyFileName": "gone"}, "response.bodyFileName: "),
        (
            {"transformers": ["response-template"]},
            "response.transformers: response templates and other transformers are",
        ),
        ({"transformerParameters": {"a": 1}}, "response.transformerParameters: "),
        ({"proxyBaseUrl": "http://partner"}, "response.proxyBaseUrl: proxying is not supported"),
        ({"additionalProxyRequestHeaders": {"a": "b"}}, "response.additionalProxyRequestHeaders: proxying is"),
        ({"chunkedDribbleDelay": {"numberOfChunks": 5}}, "response.chunkedDribbleDelay: a body that is sent in chunks"),
        ({"statusCode": 200}, "response.statusCode: is not a known key"),
    ],
)
def test_what_an_answer_cannot_be_is_refused_by_name(tmp_path: Path, response: dict[str, Any], what: str) -> None:
    assert f"one.json: {what}" in refused(tmp_path, {"request": {}, "response": response})
