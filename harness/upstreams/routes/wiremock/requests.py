"""The `request` of a stub mapping: which requests the stub answers, as method, path and conditions of a route."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from harness.rundir.planned.routes import (
    ANY_METHOD,
    ANY_PATH,
    ConditionPlace,
    ConditionTest,
    PlannedCondition,
    decoded_segment,
)
from harness.upstreams.routes.patterns import PATTERN_MOST, compile_pattern
from harness.upstreams.routes.templates import escaped
from harness.upstreams.routes.wiremock.nodes import StubPlace, kind_of_json, members, quoted, text_of

URL_MOST: Final = 4_000
NAME_MOST: Final = 200
VALUE_MOST: Final = 4_000
CONDITIONS_MOST: Final = 50
"""Headers or query parameters that one stub asks for."""
_URL_KEYS: Final = ("url", "urlPath", "urlPattern", "urlPathPattern", "urlPathTemplate")
_KEYS: Final = ("method", "headers", "queryParameters", *_URL_KEYS)
_NOT_SUPPORTED: Final = {
    "basicAuthCredentials": "credentials are",
    "bodyPatterns": "matchers of the body are",
    "clientIp": "the client's address is",
    "cookies": "matchers of cookies are",
    "customMatcher": "custom matchers are",
    "formParameters": "matchers of form parameters are",
    "host": "matching by host is",
    "multipartPatterns": "matchers of the body's parts are",
    "pathParameters": "matchers of path parameters are",
    "port": "matching by port is",
    "scheme": "matching by scheme is",
}
_TESTS: Final[dict[str, ConditionTest]] = {"equalTo": "equals", "contains": "contains", "matches": "matches"}
_OTHER_MATCHERS: Final = dict.fromkeys(
    (
        *("after", "and", "anything", "before", "binaryEqualTo", "doesNotContain", "doesNotMatch"),
        *("equalToDateTime", "equalToJson", "equalToNumber", "equalToXml", "hasExactly", "includes"),
        *("matchesJsonPath", "matchesJsonSchema", "matchesPathTemplate", "matchesXPath", "not", "or"),
    ),
    "this matcher is",
)
_METHOD: Final = re.compile(r"[A-Z]{1,20}(-[A-Z]{1,20})?")
_PARAMETER: Final = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class StubRequest:
    method: str
    path: str
    conditions: tuple[PlannedCondition, ...]


def read_request(value: Any, place: StubPlace) -> StubRequest:
    """What was refused has a harmless default in the result, which is not used then."""
    given = members(value, place, _KEYS, _NOT_SUPPORTED)
    path, conditions = _url(given, place)
    conditions += _conditions(given.get("queryParameters", {}), "query", place.at("queryParameters"))
    conditions += _conditions(given.get("headers", {}), "header", place.at("headers"))
    return StubRequest(_method(given.get("method", "ANY"), place.at("method")), path, tuple(conditions))


def _method(value: Any, place: StubPlace) -> str:
    method = text_of(value, place, NAME_MOST)
    if method is not None and not _METHOD.fullmatch(method):
        place.refuse(f"`{quoted(method)}` is not a method such as `GET`, or `ANY`")
    return ANY_METHOD if method in (None, "ANY") else str(method)


def _url(given: dict[str, Any], place: StubPlace) -> tuple[str, list[PlannedCondition]]:
    """The route's path, and the condition that the kind of URL adds."""
    keys = [key for key in _URL_KEYS if key in given]
    if not keys:
        return ANY_PATH, []
    if len(keys) > 1:
        place.refuse(f"only one of {' and '.join(f'`{key}`' for key in keys)} can be given")
        return ANY_PATH, []
    key, here = keys[0], place.at(keys[0])
    if key in ("urlPattern", "urlPathPattern"):
        pattern = _pattern(given[key], here)
        return ANY_PATH, [
            PlannedCondition(place="url" if key == "urlPattern" else "path", test="matches", value=pattern)
        ]
    url = text_of(given[key], here, URL_MOST)
    if url is None:
        return ANY_PATH, []
    if not url.startswith("/"):
        here.refuse(f"`{quoted(url)}` does not begin with `/`")
        return ANY_PATH, []
    if key == "url":
        # WireMock compares the whole: without a query, a request with one does not match
        return _literal_path(url.partition("?")[0], here), [PlannedCondition(place="url", value=url)]
    if "?" in url:
        here.refuse("has a query: `url` may have one, or write `queryParameters`")
        return ANY_PATH, []
    return (_literal_path(url, here) if key == "urlPath" else _template_path(url, here)), []


def _literal_path(path: str, place: StubPlace) -> str:
    return "/".join(_literal(segment, place) for segment in path.split("/"))


def _literal(segment: str, place: StubPlace) -> str:
    """A segment as PlannedRoute has it."""
    try:
        return escaped(decoded_segment(segment, errors="strict"))
    except UnicodeDecodeError:
        place.refuse(f"`{quoted(segment)}` is not percent-encoded UTF-8")
        return ""


def _template_path(template: str, place: StubPlace) -> str:
    segments: list[str] = []
    names: set[str] = set()
    for segment in template.split("/"):
        found = _PARAMETER.fullmatch(segment)
        if found:
            segments.append(f"{{{_parameter_name(found[1], names)}}}")
        elif "{" in segment or "}" in segment or "**" in segment:
            place.refuse(f"`{quoted(segment)}`: only a whole segment can be a parameter; `urlPathPattern` can say more")
        else:
            segments.append(_literal(segment, place))
    return "/".join(segments)


def _parameter_name(written: str, names: set[str]) -> str:
    """A plain identifier, not used yet: nothing refers to parameters by name, since response templates are refused."""
    plain = re.sub(r"\W+", "_", written, flags=re.ASCII)
    name = plain if plain[0].isalpha() else f"p{plain}"
    while name in names:
        name = f"{name}_{len(names)}"
    names.add(name)
    return name


def _conditions(value: Any, where: ConditionPlace, place: StubPlace) -> list[PlannedCondition]:
    if not isinstance(value, dict):
        place.refuse(f"expected an object, not {kind_of_json(value)}")
        return []
    if len(value) > CONDITIONS_MOST:
        place.refuse(f"has {len(value):,} matchers, and at most {CONDITIONS_MOST} are read")
        return []
    return list(_matchers(value, where, place))


def _matchers(value: dict[str, Any], where: ConditionPlace, place: StubPlace) -> Iterator[PlannedCondition]:
    for name, matcher in value.items():
        here = place.at(name)
        if not 0 < len(name) <= NAME_MOST:
            here.refuse(f"a name has from 1 to {NAME_MOST} characters")
            continue
        refused_before = place.reading.refused
        given = members(matcher, here, (*_TESTS, "absent", "caseInsensitive"), _OTHER_MATCHERS)
        tests = [key for key in given if key != "caseInsensitive"]
        if len(tests) != 1:
            if place.reading.refused == refused_before:
                here.refuse("expected exactly one of `equalTo`, `contains`, `matches` and `absent`")
            continue
        ignores_case = given.get("caseInsensitive", False)
        if "caseInsensitive" in given and (tests[0] != "equalTo" or not isinstance(ignores_case, bool)):
            here.at("caseInsensitive").refuse("is true or false, and stands beside `equalTo` only")
            ignores_case = False
        yield _condition(PlannedCondition(place=where, name=name, ignores_case=ignores_case), tests[0], given, here)


def _condition(bare: PlannedCondition, test: str, given: dict[str, Any], place: StubPlace) -> PlannedCondition:
    here, value = place.at(test), given[test]
    if test == "absent":
        if value is not True and value != "(absent)":  # the second is what WireMock writes into stubs that it saves
            here.refuse("only `true` is understood")
        return bare.model_copy(update={"test": "absent"})
    text = _pattern(value, here) if test == "matches" else text_of(value, here, VALUE_MOST)
    return bare.model_copy(update={"test": _TESTS[test], "value": text or ""})


def _pattern(value: Any, place: StubPlace) -> str:
    text = text_of(value, place, PATTERN_MOST) or ""
    try:
        compile_pattern(text)
    except ValueError as exc:
        place.refuse(str(exc))
    return text
