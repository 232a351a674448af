"""The OpenAPI document, held to what the service does: real answers must fit it, and fit it tightly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from aggregator import problem
from aggregator.antipatterns import Antipatterns
from aggregator.app import OPENAPI, PATHS
from aggregator.backends.pages import BackendError
from aggregator.paging import CURSOR_LENGTH_MAX
from aggregator.query import LIMIT_MAX, PARAMETERS, BadQuery, parse_query
from aggregator.reasons import INTERNAL, REFUSALS, TIMEOUT
from aggregator.trace import Trace
from tests.aggregator.test_app import request
from tests.aggregator.test_trace import BAD_TRACEPARENTS, GOOD_TRACEPARENTS
from tests.aggregator.world import Mock, World, offer

DOCUMENT: dict[str, Any] = json.loads(OPENAPI.read_bytes())


def at(pointer: str) -> Any:
    found: Any = DOCUMENT
    for step in pointer.removeprefix("#/").split("/"):
        found = found[step]
    return found


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = at(part["$ref"]) if "$ref" in part else part
    return found


def check(path: str, response: httpx.Response, method: str = "get") -> None:
    """The answer is one that the document promises: status, headers, content type, body."""
    described = resolved(DOCUMENT["paths"][path][method]["responses"][str(response.status_code)])
    for name, header in described.get("headers", {}).items():
        if resolved(header).get("required"):
            assert name in response.headers
    content_type = response.headers["content-type"].split(";")[0]
    schema = described["content"][content_type]["schema"]
    body = response.json() if content_type.endswith("json") else response.text
    # the whole document goes along, so that references find what they point to
    errors = Draft202012Validator({**schema, "components": DOCUMENT["components"]}).iter_errors(body)
    assert [error.message for error in errors] == []


MOCKS = {"azure": Mock(fails=httpx.Response(503)), "gcp": Mock(pages=[[offer("gcp"), offer("gcp", 2, cpu=8)]])}
DOWN = {"azure": Mock(60.0), "gcp": Mock(fails=httpx.ConnectError("refused"))}


@pytest.mark.parametrize(
    ("mocks", "query", "status"),
    [
        (MOCKS, "", 200),
        (MOCKS, "?limit=1", 200),
        (MOCKS, "?backend=gcp&gpu=H100&region=eu-north-1&max_price=2.5&spot=false", 200),
        (DOWN, "", 503),
        (MOCKS, "?limit=0", 400),
        (MOCKS, "?limits=1", 400),
        (MOCKS, "?" + "gpu=A100&" * 200, 400),
        (MOCKS, "?cursor=none", 400),
    ],
)
def test_an_answer_for_offers_is_as_described(mocks: Mapping[str, Mock], query: str, status: int) -> None:
    (reply,) = World(mocks, "isolated").ask(f"/v1/offers{query}")
    assert reply.response.status_code == status
    check("/v1/offers", reply.response)


def test_stale_offers_are_as_described() -> None:
    mocks = {"azure": Mock(fails=httpx.Response(503), well_until_s=1.0)}
    _, reply = World(mocks, "isolated").play((0.0, "/v1/offers"), (5.0, "/v1/offers"))
    assert reply.sources == {"azure": "stale"}
    check("/v1/offers", reply.response)


def test_failures_of_its_own_are_as_described(monkeypatch: pytest.MonkeyPatch) -> None:
    habits = Antipatterns(sessions=1, session_wait_ms=500)
    _, refused = World({"azure": Mock(1.0)}, "parallel", habits=habits).ask("/v1/offers", "/v1/offers")
    assert refused.response.status_code == 500
    check("/v1/offers", refused.response)

    with monkeypatch.context() as broken_page:
        broken_page.setattr("aggregator.backends.pages._parse", lambda body: 1 / 0)
        (partial,) = World({"azure": Mock()}, "parallel").ask("/v1/offers")
    assert partial.missing == {"azure": "internal"}
    check("/v1/offers", partial.response)

    monkeypatch.setattr("aggregator.service.page_of", lambda *_: 1 / 0)
    (broken,) = World({"azure": Mock()}, "parallel").ask("/v1/offers")
    assert broken.response.status_code == 500
    check("/v1/offers", broken.response)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_in_it_and_answers_as_described(path: str) -> None:
    check(path, request("GET", path))
    check(path, request("DELETE", path))


def test_it_describes_these_paths_and_methods_and_no_others() -> None:
    assert set(DOCUMENT["paths"]) == set(PATHS)
    for path in PATHS:
        allowed = request("DELETE", path).headers["allow"].lower().split(", ")
        assert set(DOCUMENT["paths"][path]) - {"parameters"} == set(allowed)
    assert request("GET", "/openapi.json").json() == DOCUMENT


def test_every_reason_is_in_it_and_explained() -> None:
    reason = DOCUMENT["components"]["schemas"]["Reason"]
    of_backends = re.findall(r"`(\w+)`", BackendError.__doc__ or "")
    assert {"connection", "too_large"} < set(of_backends)
    known = {TIMEOUT, INTERNAL, *REFUSALS, *("http_NNN" if word == "http_503" else word for word in of_backends)} - {
        "reason"
    }
    assert set(re.findall(r"`(\w+)`:", reason["description"])) == known
    for word in known:
        assert re.search(reason["pattern"], word.replace("NNN", "503")), word


def test_a_status_has_three_digits_as_the_reason_for_it() -> None:
    for status in (99, 1000):
        (reply,) = World({"azure": Mock(fails=httpx.Response(status))}, "parallel").ask("/v1/offers")
        assert reply.missing == {"azure": "connection"}
        check("/v1/offers", reply.response)


def test_a_trace_that_fits_is_passed_on_and_no_other() -> None:
    schema = resolved({"$ref": "#/components/parameters/traceparent"})["schema"]
    for traceparent in (*GOOD_TRACEPARENTS, *BAD_TRACEPARENTS):
        if traceparent.endswith("\n"):  # which no header can hold, and `$` overlooks
            continue
        fits = Draft202012Validator(schema).is_valid(traceparent)
        passed = Trace.of([(b"traceparent", traceparent.encode())]).traceparent is not None
        assert fits == passed, traceparent


def test_a_path_that_is_not_there_is_as_described() -> None:
    body = request("GET", "/nowhere").json()
    schema = {"$ref": "#/components/schemas/Problem", "components": DOCUMENT["components"]}
    assert [error.message for error in Draft202012Validator(schema).iter_errors(body)] == []


def test_every_parameter_is_in_it_with_its_limits() -> None:
    parameters = [resolved(part) for part in DOCUMENT["paths"]["/v1/offers"]["parameters"]]
    assert {part["name"] for part in parameters if part["in"] == "query"} == set(PARAMETERS)
    schemas = {part["name"]: part["schema"] for part in parameters}
    assert (schemas["limit"]["minimum"], schemas["limit"]["maximum"]) == (1, LIMIT_MAX)
    assert schemas["cursor"]["maxLength"] == CURSOR_LENGTH_MAX
    lists = {part["name"] for part in parameters if part["schema"]["type"] == "array"}
    for name in set(PARAMETERS) - lists:
        with pytest.raises(BadQuery, match="once only"):
            parse_query(f"{name}=1&{name}=1".encode(), ())


def test_each_kind_of_problem_points_to_its_description() -> None:
    kinds = [value for value in vars(problem).values() if isinstance(value, problem.Kind)]
    assert len(kinds) == 6
    for kind in kinds:
        described = at(f"#/components/responses/{kind.name}")
        assert "application/problem+json" in described["content"]


def test_every_reference_points_to_something_and_everything_is_referred_to() -> None:
    used = {part["$ref"] for part in parts(DOCUMENT) if "$ref" in part}
    for reference in used:
        assert at(reference)
    defined = {f"#/components/{kind}/{name}" for kind, names in DOCUMENT["components"].items() for name in names}
    # NotFound answers paths that are not there, so none of those described
    assert defined - used == {"#/components/responses/NotFound"}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(child)
