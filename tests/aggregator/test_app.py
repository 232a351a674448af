"""The HTTP side: paths, methods, and errors in JSON."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from aggregator.app import App
from aggregator.monitoring import FaultLog, Metrics
from aggregator.service import Service
from tests.aggregator.world import Mock, World


def request(method: str, path: str) -> httpx.Response:
    """One request to a service without backends."""

    async def ask() -> httpx.Response:
        metrics = Metrics([])
        log = FaultLog()
        service = Service([], frozenset(), deadline_s=1, gateway_timeout_s=2, metrics=metrics, fault_log=log)
        transport = httpx.ASGITransport(App(service, [], metrics, log))
        async with httpx.AsyncClient(transport=transport, base_url="http://sut") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


def test_healthz_asks_no_backend() -> None:
    response = request("GET", "/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_metrics_are_in_prometheus_format() -> None:
    response = request("GET", "/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE aggregator_backend_seconds histogram" in response.text


@pytest.mark.parametrize(
    ("method", "path", "status", "title", "detail"),
    [
        ("GET", "/offers", 404, "There is no such path", "there is no /offers; try /v1/offers, and see /openapi.json"),
        ("GET", "/", 404, "There is no such path", "there is no /; try /v1/offers"),
        ("POST", "/v1/offers", 405, "The path takes other methods", "/v1/offers takes GET and HEAD only"),
    ],
)
def test_other_paths_and_methods_are_told_what_there_is(
    method: str, path: str, status: int, title: str, detail: str
) -> None:
    response = request(method, path)
    document = response.json()
    assert (response.status_code, document["status"], document["title"]) == (status, status, title)
    assert document["detail"].startswith(detail)
    assert document["instance"] == path
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get("allow") == ("GET, HEAD" if status == 405 else None)


def test_a_path_may_hold_anything_and_comes_back_as_a_reference() -> None:
    document = request("GET", "/a%20b%0A%E2%82%AC" + "x" * 500).json()
    assert document["instance"].startswith("/a%20b%0A%E2%82%ACxxx")
    assert len(document["detail"]) < 400


def test_a_bad_query_is_a_400_that_names_the_parameter_and_asks_nobody() -> None:
    world = World({"azure": Mock()})
    (reply,) = world.ask("/v1/offers?limit=none")
    assert reply.response.status_code == 400
    assert reply.response.headers["content-type"] == "application/problem+json"
    assert reply.body == {
        "type": "/openapi.json#/components/responses/BadParameter",
        "title": "A parameter cannot be used",
        "status": 400,
        "detail": "must be a whole number from 1 to 10000",
        "instance": "/v1/offers",
        "request_id": reply.response.headers["x-request-id"],
        "parameter": "limit",
    }
    assert world.asked == []


def test_an_answer_has_these_fields_and_no_others() -> None:
    (reply,) = World({"azure": Mock()}).ask("/v1/offers")
    assert list(reply.body) == ["offers", "next_cursor", "partial", "missing", "backends", "request_id"]
    assert reply.response.headers["content-type"] == "application/json"
    assert int(reply.response.headers["content-length"]) == len(reply.response.content)


@pytest.mark.parametrize("path", ["/v1/offers", "/healthz", "/metrics", "/openapi.json", "/nowhere"])
def test_head_is_get_without_the_body(path: str) -> None:
    got, head = request("GET", path), request("HEAD", path)
    assert head.content == b""
    assert head.status_code == got.status_code
    assert head.headers["content-type"] == got.headers["content-type"]
    assert abs(int(head.headers["content-length"]) - len(got.content)) < 20, "times in /metrics differ in length"


def test_a_server_that_stops_answers_503_instead_of_waiting() -> None:
    async def stop_one() -> list[MutableMapping[str, Any]]:
        class Hung(Service):
            async def offers(self, *_: object) -> Any:
                await asyncio.Event().wait()

        metrics = Metrics([])
        log = FaultLog()
        hung = Hung([], (), deadline_s=1, gateway_timeout_s=2, metrics=metrics, fault_log=log)
        app = App(hung, [], metrics, log)
        sent: list[MutableMapping[str, Any]] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        scope = {"type": "http", "method": "GET", "path": "/v1/offers", "query_string": b"", "headers": []}
        task = asyncio.create_task(app(scope, receive, send))
        await asyncio.sleep(0)
        task.cancel()
        await task
        return sent

    start, body = asyncio.run(stop_one())
    assert start["status"] == 503
    assert b"the service is stopping" in body["body"]
