"""A fake with routes: which route answers, with what, and what a call without a route gets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fake_backends.catalog import marker
from fake_backends.providers import IncomingRequest, Response, Routed
from harness.rundir.planned.routes import (
    PlannedAnswer,
    PlannedCondition,
    PlannedProfile,
    PlannedRoute,
    RouteSource,
)
from harness.rundir.planned.upstream import FakeSpec
from harness.rundir.rows import NO_ROUTE
from tests.fake_backends.fakes import FaultyFakes, MakeFakes
from tests.fake_backends.plans import upstream
from tests.virtual_time import run


def fake(*routes: PlannedRoute) -> Routed:
    source = RouteSource(kind="routes", routes=routes, names=tuple(route.name for route in routes))
    return Routed("flights", FakeSpec(p50_ms=1, p99_ms=1, rows=0, page=0, provider="routes", routes=source), 7)


def route(pattern: str, *answers: PlannedAnswer, **fields: Any) -> PlannedRoute:
    method, _, path = pattern.partition(" ")
    return PlannedRoute(
        method=method,
        path=path or "*",
        answers=answers or (says(pattern.replace("{", "{{").replace("}", "}}")),),
        **fields,
    )


def says(tree: Any, **fields: Any) -> PlannedAnswer:
    return PlannedAnswer(has_json=True, json_tree=tree, **fields)


def ask(provider: Routed, line: str, **fields: Any) -> Response:
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    return provider.respond(IncomingRequest(method, path, query.encode(), **fields))


def answered(provider: Routed, line: str, **fields: Any) -> Any:
    return json.loads(ask(provider, line, **fields).body)


def test_the_more_specific_route_answers_whatever_their_order() -> None:
    provider = fake(
        route("*", says("any")),
        route("GET /a/{{b}}", says("brace")),
        route("* /a/x"),
        route("GET /a/{id}"),
        route("GET /a/x"),
        route("GET /a/{id}/c"),
        route("GET /a/b/{c}"),
    )
    asked = {
        "GET /a/x": "GET /a/x",
        "POST /a/x": "* /a/x",
        "GET /a/y": "GET /a/{id}",
        "GET /a/b/c": "GET /a/b/{c}",
        "GET /a/z/c": "GET /a/{id}/c",
        "GET /a/{b}": "brace",
        "GET /a/": "any",
        "GET /b": "any",
    }
    assert {line: answered(provider, line) for line in asked} == asked


def test_each_route_has_its_number_and_head_is_answered_as_get() -> None:
    provider = fake(route("GET /a"), route("GET /b"), route("HEAD /b", says("head")))
    assert [ask(provider, line).route for line in ("GET /a", "GET /b", "HEAD /b", "HEAD /a")] == [0, 1, 2, 0]


def test_a_segment_is_decoded_and_a_coded_slash_is_no_separator() -> None:
    provider = fake(route("GET /a/{id}", says("{id}")), route("GET /ü/x"))
    assert answered(provider, "GET /a/b c", raw_path="/a/b%20c") == "b c"
    assert answered(provider, "GET /a/b/c", raw_path="/a/b%2Fc") == "b/c"
    assert answered(provider, "GET /ü/x", raw_path="/%C3%BC/x") == "GET /ü/x"


def test_every_placeholder_is_filled_in_and_a_lone_one_keeps_its_type() -> None:
    tree = {
        "param": "{id}",
        "query": "{query.q}",
        "header": "{header.X-T}",
        "seq": "{seq}",
        "n": "{n}",
        "text": "{seq}-{n}",
        "body": "{body.items[0].id}",
        "within": "<{body.items}>",
        "none": "{body.no}",
        "mark": "x{mark}",
        "{id}": "{{id}}",
    }
    provider = fake(route("POST /a/{id}", says(tree, headers=(("Location", "/a/{id}/{seq}"), ("ETag", '"1"')))))
    ask(provider, "POST /a/1")
    got = ask(
        provider,
        'POST /a/"1?q=a&q=b',
        headers=[(b"x-t", b"te\xfcst")],
        body=b'{"items": [{"id": 5}]}',
        seq=40,
    )
    assert json.loads(got.body) == {
        "param": '"1',
        "query": "a",
        "header": "te\u00fcst",
        "seq": 40,
        "n": 1,
        "text": "40-1",
        "body": 5,
        "within": '<[{"id":5}]>',
        "none": None,
        "mark": f"x{marker('flights')}",
        "{id}": "{id}",
    }
    headers = dict(got.headers)
    assert headers[b"Location"] == b'/a/"1/40'
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"content-length"] == str(len(got.body)).encode()


def test_without_a_number_seq_is_the_calls_own() -> None:
    provider = fake(route("GET /a", says("{seq}")))
    assert [answered(provider, "GET /a") for _ in range(3)] == [0, 1, 2]


def test_a_header_cannot_be_ended_by_what_is_filled_in() -> None:
    provider = fake(route("GET /a", says(1, headers=(("X-Q", "{query.q}"),))))
    assert dict(ask(provider, "GET /a?q=1%0d%0aSet-Cookie:x").headers)[b"X-Q"] == b"1Set-Cookie:x"


def test_answers_are_given_in_turn_and_by_the_nearest_recorded_query() -> None:
    provider = fake(route("GET /a", says(1), says(2)))
    assert [answered(provider, "GET /a") for _ in range(4)] == [1, 2, 1, 2]
    recorded = fake(
        route(
            "GET /a",
            says("munich", query=(("to", "MUC"), ("page", "1"))),
            says("munich 2", query=(("to", "MUC"), ("page", "2"))),
            says("none", query=()),
        )
    )
    asked = {"GET /a?to=MUC&page=2": "munich 2", "GET /a?page=1&to=MUC": "munich", "GET /a?to=LHR": "munich"}
    assert {line: answered(recorded, line) for line in asked} == asked
    assert answered(recorded, "GET /a") == "none"


def test_conditions_choose_and_the_lowest_rank_answers() -> None:
    conditions = {
        "query": PlannedCondition(place="query", name="q", value="1"),
        "absent": PlannedCondition(place="query", name="q", test="absent"),
        "contains": PlannedCondition(place="header", name="X-T", test="contains", value="b"),
        "folded": PlannedCondition(place="header", name="X-T", value="ABC", ignores_case=True),
        "url": PlannedCondition(place="url", test="matches", value=r"/a\?q=[0-9]+"),
    }
    begins_with_f = PlannedCondition(place="path", test="matches", value="/f.*")
    provider = fake(
        *(
            route("GET /a", says(name), conditions=(each,), rank=(5, -order))
            for order, (name, each) in enumerate(conditions.items())
        ),
        route("* *", says("first"), conditions=(begins_with_f,), rank=(1, 0)),
        route("GET /first", rank=(5, -9)),
    )
    assert answered(provider, "GET /a?q=1") == "url"
    assert answered(provider, "GET /a") == "absent"
    assert answered(provider, "GET /a?q=x", headers=[(b"x-t", b"abc")]) == "folded"
    assert answered(provider, "GET /a?q=x", headers=[(b"x-t", b"xbx")]) == "contains"
    assert answered(provider, "GET /first") == "first"
    assert not ask(provider, "GET /a?q=x").matched


def test_a_pattern_that_takes_too_long_does_not_match() -> None:
    slow = PlannedCondition(place="query", name="q", test="matches", value="(a+)+b")
    provider = fake(route("GET /a", conditions=(slow,)))
    assert not ask(provider, "GET /a?q=" + "a" * 40).matched


def test_patterns_are_those_of_the_reader_and_may_ignore_case() -> None:
    nested = PlannedCondition(place="query", name="q", test="matches", value="[a-z&&[^x]]+", ignores_case=True)
    provider = fake(route("GET /a", conditions=(nested,)))
    assert [ask(provider, f"GET /a?q={q}").matched for q in ("abc", "ABC", "axc")] == [True, True, False]
    with pytest.raises(ValueError, match="is invalid"):
        fake(route("GET /a", conditions=(PlannedCondition(place="path", test="matches", value="("),)))


def test_a_call_without_a_route_is_answered_with_the_nearest() -> None:
    provider = fake(route("GET /v2/search"), route("GET /v2/airports/{code}"), route("POST /v2/orders"))
    for line, nearest in {
        "GET /v2/serch": "GET /v2/search",
        "POST /v2/search": "GET /v2/search",
        "GET /v1/airports/MUC": "GET /v2/airports/{code}",
        "PUT /v2/orders": "POST /v2/orders",
    }.items():
        got = ask(provider, line)
        assert (got.status, got.matched) == (404, False)
        assert json.loads(got.body)["error"] == f"no route for {line}; the nearest is {nearest}"
        assert provider.nearest(*line.split(" ")) == nearest


def test_an_error_of_the_route_for_whatever_comes_counts_as_unmatched() -> None:
    own = fake(route("GET /a", says(1, status=404)), route("*", says("nothing", status=404)))
    assert ask(own, "GET /a").matched
    assert not ask(own, "GET /b").matched
    assert ask(fake(route("*", says(1))), "GET /b").matched


def test_files_answer_by_the_parameters_in_their_names(tmp_path: Any) -> None:
    (tmp_path / "MUC.json").write_text('{"code": "MUC", "n": "{n}"}')
    (tmp_path / "LHR.txt").write_text("London {n}")
    verbatim = fake(route("GET /x/{code}", PlannedAnswer(file=f"{tmp_path}/{{code}}.json")))
    assert ask(verbatim, "GET /x/MUC").body == b'{"code": "MUC", "n": "{n}"}'
    missing = ask(verbatim, "GET /x/LHR")
    assert (missing.status, missing.matched) == (404, False)
    assert not ask(verbatim, "GET /x/..%2f..", raw_path="/x/..%2f..%2fetc").matched
    filled = fake(route("GET /x/{code}", PlannedAnswer(file=f"{tmp_path}/{{code}}.txt", template=True)))
    assert ask(filled, "GET /x/LHR").body == b"London 0"
    assert dict(ask(filled, "GET /x/LHR").headers)[b"content-type"] == b"text/plain"


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_a_body_has_none(status: int) -> None:
    got = ask(fake(route("GET /a", says({"a": 1}, status=status))), "GET /a")
    assert (got.body, dict(got.headers)) == (b"", {})


def test_a_canarys_answer_has_the_mark_and_the_size_of_the_largest_answer() -> None:
    provider = fake(route("GET /a", PlannedAnswer(text="x" * 5_000)), route("*", says(1)))
    healthy = provider.respond(provider.health)
    assert len(healthy.body) == 5_000
    assert marker("flights").encode() in healthy.body
    assert json.loads(healthy.body)


def test_an_empty_answer_keeps_its_shape() -> None:
    full = ask(fake(route("GET /a", says({"data": [1], "meta": {"of": [2], "total": 3}}))), "GET /a")
    assert json.loads(full.emptied().body) == {"data": [], "meta": {"of": [], "total": 3}}
    text = ask(fake(route("GET /a", PlannedAnswer(text="hello"))), "GET /a").emptied()
    assert (text.body, dict(text.headers)[b"content-length"]) == (b"", b"0")


def test_numbers_that_fast_encoders_refuse_are_answered_all_the_same() -> None:
    assert answered(fake(route("GET /a", says({"big": 2**70}))), "GET /a") == {"big": 2**70}


def test_a_route_has_its_own_latency_queue_and_number_in_the_row(make_fakes: MakeFakes) -> None:
    slow = PlannedProfile(kind="constant", numbers_ms={"constant_ms": 700.0})
    routes = (route("GET /a"), route("GET /slow", profile=slow, capacity=1))
    planned = upstream("azure", 0, p50_ms=100.0, p99_ms=100.0)
    assert planned.fake
    own = planned.fake.model_copy(update={"routes": RouteSource(kind="routes", routes=routes)})
    fakes = make_fakes(upstreams=(planned.model_copy(update={"fake": own}),))

    async def scenario() -> None:
        await asyncio.gather(fakes.call(1, path="/a"), fakes.call(2, path="/slow"), fakes.call(3, path="/slow"))
        assert json.loads((await fakes.call(4, path="/none")).body)["error"].startswith("no route for GET /none")

    run(scenario())
    rows = {row["seq"]: row for row in fakes.rows()}
    took_ms = {seq: round((row["done_ns"] - row["arrived_ns"]) / 1e6) for seq, row in rows.items()}
    assert took_ms == {1: 100, 2: 700, 3: 1400, 4: 0}
    assert [rows[seq]["route"] for seq in (1, 2, 3, 4)] == [0, 1, 1, NO_ROUTE]
    assert json.loads((tmp_unmatched(fakes)).splitlines()[0])["nearest"]


def tmp_unmatched(fakes: FaultyFakes) -> str:
    fakes.app.load.unmatched.write()
    return "".join(f"{line.model_dump_json()}\n" for line in fakes.app.load.unmatched.lines())
