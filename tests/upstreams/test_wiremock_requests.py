"""The request of a stub becomes method, path and conditions, or is refused with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.rundir.planned.routes import (
    ANY_METHOD,
    ANY_PATH,
    PlannedCondition,
)
from tests.upstreams.wiremock_stubs import OK, ONE, read, refused, route


def test_a_stub_that_asks_for_nothing_answers_whatever_comes(tmp_path: Path) -> None:
    found = route(tmp_path, {})
    assert (found.method, found.path, found.conditions) == (ANY_METHOD, ANY_PATH, ())
    assert found.profile is None


@pytest.mark.parametrize(("written", "method"), [("GET", "GET"), ("ANY", ANY_METHOD), ("M-SEARCH", "M-SEARCH")])
def test_the_method(tmp_path: Path, written: str, method: str) -> None:
    assert route(tmp_path, {"method": written}).method == method


@pytest.mark.parametrize("written", ["get", "GET_OR_HEAD", "G ET", "", "*", "GET\n"])
def test_another_method_is_refused(tmp_path: Path, written: str) -> None:
    assert "request.method: " in refused(tmp_path, {"request": {"method": written}, "response": OK})


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/v2/search", "/v2/search"),
        ("/", "/"),
        ("//a/", "//a/"),
        ("/caf%C3%A9/a%20b+c", "/caf\u00e9/a b+c"),
        ("/%7Bid%7D/{id}/}", "/{{id}}/{{id}}/}}"),
        ("/a%2fb%2Fc", "/a%2Fb%2Fc"),
        ("/100%", "/100%"),
        ("/*", "/*"),
    ],
)
def test_a_literal_path(tmp_path: Path, written: str, path: str) -> None:
    found = route(tmp_path, {"urlPath": written})
    assert (found.path, found.conditions) == (path, ())


@pytest.mark.parametrize(("url", "path"), [("/a%20b?x=1&y={2}", "/a b"), ("/a", "/a"), ("/a?", "/a")])
def test_a_url_is_compared_with_its_query_even_if_it_has_none(tmp_path: Path, url: str, path: str) -> None:
    found = route(tmp_path, {"url": url})
    assert found.path == path
    assert found.conditions == (PlannedCondition(place="url", test="equals", value=url),)


def test_a_template_has_parameters_where_a_segment_is_one(tmp_path: Path) -> None:
    assert route(tmp_path, {"urlPathTemplate": "/v1/{code}/a%20b/{id}"}).path == "/v1/{code}/a b/{id}"
    odd = route(tmp_path, {"urlPathTemplate": "/{contact-id}/{contact.id}/{1}/{1}"}).path.split("/")[1:]
    assert all(segment[0] == "{" and segment[1:-1].isidentifier() and segment[-1] == "}" for segment in odd)
    assert len(set(odd)) == 4


@pytest.mark.parametrize("written", ["/a/{id}.json", "/a/**", "/a/{}", "/{{a}}", "/a?b={c}", "a/{b}", "/{a/b}"])
def test_another_template_is_refused(tmp_path: Path, written: str) -> None:
    assert "request.urlPathTemplate: " in refused(tmp_path, {"request": {"urlPathTemplate": written}, "response": OK})


@pytest.mark.parametrize(("key", "place"), [("urlPattern", "url"), ("urlPathPattern", "path")])
def test_a_pattern_is_a_condition_on_any_path(tmp_path: Path, key: str, place: Any) -> None:
    found = route(tmp_path, {"method": "GET", key: "/v[12]/[a-z&&[^x]]++(?:/.*)?"})
    assert (found.method, found.path) == ("GET", ANY_PATH)
    assert found.conditions == (PlannedCondition(place=place, test="matches", value="/v[12]/[a-z&&[^x]]++(?:/.*)?"),)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("/v1/(", "is invalid: missing )"),
        ("*", "is invalid: nothing to repeat"),
        ("(" * 900, "is nested too deeply"),
        ("a" * 1001, "has 1,001 characters, and at most 1,000 are read"),
        ("(?V0)a", "is invalid"),
        ("(?ix)a b", "the flag `x` of regular expressions is not supported"),
        ("a{2147483647}", "repeats more than 100,000 elements"),
        ("(?:(?:a{100}b){100}){100}", "repeats more than 100,000 elements"),
        ("(?:[)]a{1000}){1000}", "repeats more than 100,000 elements"),
        (r"(?:\)a{1000}){1000}", "repeats more than 100,000 elements"),
        ("(?:a{1000}(?#()b){1000}", "repeats more than 100,000 elements"),
        ("(?:[])]a{1000}){1000}", "repeats more than 100,000 elements"),
    ],
)
def test_a_pattern_is_checked_when_it_is_read(tmp_path: Path, pattern: str, what: str) -> None:
    message = refused(tmp_path, {"request": {"headers": {"A": {"matches": pattern}}}, "response": OK})
    assert "one.json: request.headers.A.matches: " in message
    assert what in message
    assert what in refused(tmp_path, {"request": {"urlPattern": pattern}, "response": OK})


@pytest.mark.parametrize(
    "pattern", ["", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/" * 10, ".{0,65535}", "[]a]{9}", "a{x}"]
)
def test_large_but_plain_patterns_are_taken(tmp_path: Path, pattern: str) -> None:
    assert route(tmp_path, {"urlPattern": pattern}).conditions[0].value == pattern


@pytest.mark.parametrize(("key", "place"), [("queryParameters", "query"), ("headers", "header")])
def test_matchers_of_query_and_headers_are_conditions(tmp_path: Path, key: str, place: Any) -> None:
    matchers = {
        "a": {"equalTo": "1"},
        "b": {"equalTo": "X", "caseInsensitive": True},
        "c": {"contains": "json"},
        "d": {"matches": "[0-9]+"},
        "e": {"absent": True},
        "f": {"absent": "(absent)"},
        "g": {"equalTo": "", "caseInsensitive": False, "absent": None},
    }
    assert route(tmp_path, {"urlPath": "/a", key: matchers}).conditions == (
        PlannedCondition(place=place, name="a", value="1"),
        PlannedCondition(place=place, name="b", value="X", ignores_case=True),
        PlannedCondition(place=place, name="c", test="contains", value="json"),
        PlannedCondition(place=place, name="d", test="matches", value="[0-9]+"),
        PlannedCondition(place=place, name="e", test="absent"),
        PlannedCondition(place=place, name="f", test="absent"),
        PlannedCondition(place=place, name="g", value=""),
    )


@pytest.mark.parametrize(
    ("matcher", "what"),
    [
        ("json", "expected an object, not a string"),
        ({}, "expected exactly one of"),
        ({"equalTo": None}, "expected exactly one of"),
        ({"equalTo": "a", "contains": "b"}, "expected exactly one of"),
        ({"equalTo": 5}, "equalTo: expected a string, not a number"),
        ({"absent": False}, "absent: only `true` is understood"),
        ({"absent": 1}, "absent: only `true` is understood"),
        ({"contains": "a", "caseInsensitive": True}, "caseInsensitive: is true or false, and stands beside `equalTo`"),
        ({"equalTo": "a", "caseInsensitive": "yes"}, "caseInsensitive: is true or false"),
        ({"doesNotMatch": "a"}, "doesNotMatch: this matcher is not supported"),
        ({"and": [{"contains": "a"}]}, "and: this matcher is not supported"),
        ({"or": [{"contains": "a"}]}, "or: this matcher is not supported"),
        ({"equalToJson": {}, "contains": "a"}, None),
        ({"equalToJson": {"a": 1}}, "equalToJson: this matcher is not supported"),
        ({"hasExactly": [{"equalTo": "a"}]}, "hasExactly: this matcher is not supported"),
        ({"equals": "a"}, "equals: is not a known key"),
    ],
)
def test_other_matchers_are_refused_by_name(tmp_path: Path, matcher: Any, what: str | None) -> None:
    stub = {"request": {"queryParameters": {"page": matcher}}, "response": OK}
    if what is None:  # an empty one says nothing
        assert len(read(tmp_path, stub).routes[0].conditions) == 1
        return
    message = refused(tmp_path, stub)
    assert message.startswith(f"{ONE}: one.json: request.queryParameters.page")
    assert what in message


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        ({"url": "/a", "urlPath": "/a"}, "request: only one of `url` and `urlPath` can be given"),
        ({"url": "http://partner/a"}, "request.url: `http://partner/a` does not begin with `/`"),
        ({"urlPath": "/a?b=1"}, "request.urlPath: has a query"),
        ({"urlPath": "/%FF"}, "request.urlPath: `%FF` is not percent-encoded UTF-8"),
        ({"urlPath": "/" + "a" * 4000}, "request.urlPath: has 4,001 characters"),
        ({"headers": {"": {"absent": True}}}, "a name has from 1 to 200 characters"),
        ({"headers": {str(n): {"absent": True} for n in range(51)}}, "request.headers: has 51 matchers"),
        ({"bodyPatterns": [{"equalToJson": "{}"}]}, "request.bodyPatterns: matchers of the body are not supported"),
        ({"multipartPatterns": [{}]}, "request.multipartPatterns: "),
        ({"cookies": {"s": {"equalTo": "1"}}}, "request.cookies: matchers of cookies are not supported"),
        ({"basicAuthCredentials": {"username": "u"}}, "request.basicAuthCredentials: credentials are not supported"),
        ({"pathParameters": {"id": {"equalTo": "1"}}}, "request.pathParameters: "),
        ({"formParameters": {"id": {"equalTo": "1"}}}, "request.formParameters: "),
        ({"host": {"equalTo": "a"}}, "request.host: "),
        ({"customMatcher": {"name": "m"}}, "request.customMatcher: custom matchers are not supported"),
        ({"urls": "/a"}, "request.urls: is not a known key"),
        ({"url\n::error": "/a"}, "is not a known key"),
    ],
)
def test_what_a_route_cannot_ask_for_is_refused_by_name(tmp_path: Path, request_: dict[str, Any], what: str) -> None:
    assert what in refused(tmp_path, {"request": request_, "response": OK})
