"""Stub mappings of WireMock: which answers first, what is refused or noted, and any value at any place."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from harness.rundir.planned.routes import (
    ANY_METHOD,
    ANY_PATH,
    PlannedAnswer,
    PlannedRoute,
)
from harness.upstreams.routes.routes_read import RoutesRead, UnreadableRoutes
from tests.upstreams.wiremock_stubs import OK, read, refusal, refused, write


def test_the_lowest_rank_is_the_stub_that_wiremock_would_choose(tmp_path: Path) -> None:
    def stub(path: str, **more: Any) -> dict[str, Any]:
        return {"request": {"urlPath": path}, "response": OK, **more}

    found = read(
        tmp_path,
        {
            "mappings": [
                stub("/a", priority=1),
                stub("/b"),
                stub("/c", priority=5),
                stub("/d", priority=10),
                stub("/e", priority=1),
            ]
        },
    )
    assert [one.path for one in sorted(found.routes, key=lambda one: one.rank or (0, 0))] == [
        "/e",
        "/a",
        "/c",
        "/b",
        "/d",
    ]


def test_what_changes_no_answer_is_ignored(tmp_path: Path) -> None:
    about = {"id": "1", "uuid": "1", "name": "n", "persistent": True, "metadata": {"x": []}, "insertionIndex": 4}
    nothing: dict[str, Any] = {"scenarioName": None, "postServeActions": [], "priority": None}
    (only,) = read(
        tmp_path, {**about, **nothing, "request": {"bodyPatterns": []}, "response": {"transformers": []}}
    ).routes
    assert only == PlannedRoute(method=ANY_METHOD, path=ANY_PATH, answers=(PlannedAnswer(),), rank=(5, 0))


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"scenarioName": "s"}, "scenarioName: scenarios are not supported"),
        ({"requiredScenarioState": "Started"}, "requiredScenarioState: scenarios are not supported"),
        ({"newScenarioState": "paid"}, "newScenarioState: scenarios are not supported"),
        ({"postServeActions": [{"name": "webhook"}]}, "postServeActions: actions after an answer are not supported"),
        ({"serveEventListeners": [{}]}, "serveEventListeners: actions after an answer are not supported"),
        ({"priority": "high"}, "priority: expected a whole number, not a string"),
        ({"request": None}, "a stub mapping has a `request`"),
        ({"response": None}, "a stub mapping has a `response`"),
        ({"respones": {}}, "respones: is not a known key"),
    ],
)
def test_what_a_stub_cannot_have_is_refused_by_name(tmp_path: Path, more: dict[str, Any], what: str) -> None:
    assert f"one.json: {what}" in refused(tmp_path, {"request": {}, "response": OK, **more})


def test_the_first_three_refusals_of_all_files_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    bad = {"request": {"cookies": {"a": {"equalTo": "1"}}, "port": 80}, "response": OK}
    message = refusal(write(tmp_path, {"mappings/a.json": {"mappings": [bad, bad]}, "mappings/b.json": b"{"}))
    assert message == (
        "5 things in the stub mappings cannot be used: "
        "mappings/a.json: mappings[0].request.cookies: matchers of cookies are not supported; "
        "mappings/a.json: mappings[0].request.port: matching by port is not supported; "
        "mappings/a.json: mappings[1].request.cookies: matchers of cookies are not supported; and 2 more"
    )


def test_notes_say_what_is_not_played_as_written(tmp_path: Path) -> None:
    framed = {"Content-Length": "5", "transfer-encoding": "chunked", "Connection": "close", "ETag": "1"}
    found = read(
        tmp_path,
        {
            "mappings": [
                {"request": {"urlPath": "/a"}, "response": {"statusMessage": "Fine", "headers": framed}},
                {"request": {"urlPath": "/a"}, "response": {"statusMessage": "Fine", "body": "{{request.path}}"}},
                {"request": {"urlPath": "/a"}, "priority": 4, "response": {"jsonBody": {"a": ["{{now}}"]}}},
                {"request": {"urlPath": "/a", "headers": {"A": {"absent": True}}}, "response": {"body": "{not}"}},
            ]
        },
    )
    assert found.routes[0].answers[0].headers == (("ETag", "1"),)
    assert found.notes == (
        "`statusMessage` is not sent (2 stubs)",
        "headers that frame an answer, such as `Content-Length`, are left out because the fake sets its own (1 stub)",
        "`{{` is sent as it is written because response templates are not filled in (2 stubs)",
        "1 stub cannot answer, because a later one has the same request and priority; "
        "files are read in the order of their names",
    )


WHOLE: Final[dict[str, Any]] = {
    "mappings": [
        {
            "id": "8c5db8b0-2db4-4ad7-a99f-38c9b00da3f7",
            "name": "search",
            "priority": 2,
            "metadata": {"team": ["flights"]},
            "request": {
                "method": "GET",
                "urlPathTemplate": "/v2/{market}/search",
                "queryParameters": {"dest": {"equalTo": "lis", "caseInsensitive": True}, "debug": {"absent": True}},
                "headers": {"Accept": {"contains": "json"}, "X-Client": {"matches": "web-[0-9]{1,3}"}},
            },
            "response": {
                "status": 200,
                "statusMessage": "OK",
                "headers": {"Content-Type": "application/json", "Vary": ["Accept", "Origin"]},
                "jsonBody": {"data": [{"fare": 120.5, "to": "LIS"}], "next": None},
                "delayDistribution": {"type": "lognormal", "median": 90, "sigma": 0.3},
            },
        },
        {
            "request": {"url": "/v2/airports/OPO?lang=pt", "method": "ANY"},
            "response": {"bodyFileName": "opo.json", "delayDistribution": {"type": "uniform", "lower": 1, "upper": 2}},
        },
        {
            "request": {"urlPathPattern": "/v2/.*"},
            "response": {"fault": "EMPTY_RESPONSE", "fixedDelayMilliseconds": 30, "base64Body": "AP8="},
        },
    ],
    "meta": {"total": 3},
}
OTHERS: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    10**30,
    1.5,
    "",
    "{",
    "\u202e/a?b",
    "GET",
    [],
    [None],
    {},
    {"a": {}},
    [[]],
)


def spots(tree: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield above
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in children:
        yield from spots(value, (*above, key))


def with_other(spot: tuple[str | int, ...], other: Any) -> Any:
    if not spot:
        return other
    document = copy.deepcopy(WHOLE)
    node: Any = document
    for key in spot[:-1]:
        node = node[key]
    node[spot[-1]] = other
    return document


@pytest.mark.parametrize("spot", list(spots(WHOLE)), ids=lambda spot: ".".join(map(str, spot)) or "document")
def test_any_value_at_any_place_is_read_or_refused(tmp_path: Path, spot: tuple[str | int, ...]) -> None:
    write(tmp_path, {"__files/opo.json": {"code": "OPO"}})
    assert len(read(tmp_path, WHOLE).routes) == 3
    taken = 0
    for other in OTHERS:
        try:
            taken += isinstance(read(tmp_path, with_other(spot, other)), RoutesRead)
        except UnreadableRoutes as exc:
            assert exc.message
            assert exc.fix
    free = {"id", "name", "metadata", "statusMessage", "jsonBody", "meta"}
    assert taken < len(OTHERS) or free & set(spot), "every value was taken"
