"""The ASGI application in virtual time: how long a call takes, and the row it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from fake_backends import providers
from fake_backends.draws import Draws
from fake_backends.providers import IncomingRequest, Response
from harness.correlation import run_hash, traceparent
from harness.rundir.planned.upstream import FakeSpec
from harness.rundir.rows import FLAG_CANARY, LOGIN_SEQ, NO_ROUTE, NO_SEQ
from harness.upstreams.profiles import Lognormal
from tests.fake_backends.fakes import FaultyFakes
from tests.fake_backends.plans import SEED, upstream
from tests.virtual_time import now_ns, run

RUN = run_hash("20260101-000000-abcd")
UPSTREAMS = (upstream("azure", 0), upstream("gcp", 1, page=10))
NS = 1_000_000_000


def latency_ns(seq: int, nth: int = 0, name: str = "azure") -> int:
    """What the draw for this call comes to, worked out apart from the server."""
    uniform = Draws(SEED, "latency", name).uniform(seq, nth)
    return round(Lognormal.from_percentiles(60, 140).latency_ms(uniform) * 1e6)


class Fakes(FaultyFakes):
    """Both upstreams, without faults; a call gives status and body, or status 0 where nothing was sent."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, upstreams=UPSTREAMS)

    async def ask(self, path: str = "/offers", **options: Any) -> tuple[int, bytes]:
        got = await self.call(None, path=path, **options)
        return got.status, got.body


@pytest.fixture
def fakes(tmp_path: Path) -> Iterator[Fakes]:
    with contextlib.closing(Fakes(tmp_path)) as fakes:
        yield fakes


def test_a_call_takes_its_drawn_latency_and_leaves_a_whole_row(fakes: Fakes) -> None:
    async def scenario() -> int:
        began_ns = now_ns()
        status, body = await fakes.ask(headers=[("x-tailgate-seq", "17")])
        assert status == 200
        assert len(json.loads(body)["offers"]) == 40
        return began_ns

    began_ns = run(scenario())
    (row,) = fakes.rows()
    assert row.pop("done_ns") == pytest.approx(began_ns + latency_ns(17), abs=1000)
    assert row.pop("first_ns") == pytest.approx(began_ns + latency_ns(17), abs=1000)
    size = row.pop("bytes")
    assert size > 40 * 200
    assert row == {
        "seq": 17,
        "arrived_ns": began_ns,
        "due_ns": began_ns + latency_ns(17),
        "status": 200,
        "route": 0,
        "upstream": 0,
        "behaviour": 0,
        "faults": 0,
        "flags": 0,
    }


def test_what_a_call_draws_does_not_depend_on_what_came_before(fakes: Fakes) -> None:
    async def scenario() -> None:
        for seq in (3, 1, 2):
            await fakes.ask(headers=[("x-tailgate-seq", str(seq))])
        await asyncio.gather(*(fakes.ask(headers=[("x-tailgate-seq", str(seq))]) for seq in (6, 4, 5)))

    run(scenario())
    for row in fakes.rows():
        assert row["due_ns"] - row["arrived_ns"] == latency_ns(row["seq"])


def test_pages_of_one_request_and_its_retries_draw_anew(fakes: Fakes) -> None:
    async def scenario() -> None:
        headers = [("x-tailgate-seq", "5")]
        for cursor in ("", "10", "20", "30", "30"):
            await fakes.ask(f"/offers?cursor={cursor}", port=9001, headers=headers)

    run(scenario())
    waits = [row["due_ns"] - row["arrived_ns"] for row in fakes.rows()]
    assert waits == [latency_ns(5, nth, "gcp") for nth in range(5)]


@pytest.mark.parametrize(
    ("headers", "seq"),
    [
        ([("x-tailgate-seq", "0")], 0),
        ([("traceparent", traceparent(RUN, 23))], 23),
        ([("traceparent", traceparent(RUN, 0))], 0),
        ([("traceparent", traceparent(RUN, 23)), ("x-tailgate-seq", "24")], 24),
        ([("traceparent", traceparent(RUN, 23)), ("x-tailgate-seq", "x")], 23),
        ([("traceparent", traceparent(run_hash("another"), 23))], NO_SEQ),
        ([("traceparent", "00-zz")], NO_SEQ),
        ([("x-tailgate-seq", "-1")], NO_SEQ),
        ([("x-tailgate-seq", str(2**64))], NO_SEQ),
        ([("x-tailgate-seq", str(LOGIN_SEQ))], LOGIN_SEQ),
        ([("traceparent", traceparent(RUN, LOGIN_SEQ))], LOGIN_SEQ),
        ([], NO_SEQ),
    ],
)
def test_either_header_tells_the_request(fakes: Fakes, headers: list[tuple[str, str]], seq: int) -> None:
    run(fakes.ask(headers=headers))
    assert [row["seq"] for row in fakes.rows()] == [seq]


def test_a_canary_gets_the_first_page_at_once_and_takes_no_draw(fakes: Fakes) -> None:
    async def scenario() -> tuple[bytes, bytes]:
        canary = [("x-tailgate-canary", "1"), ("x-tailgate-seq", "9")]
        _, seen = await fakes.ask("/offers?cursor=20", port=9001, headers=canary)
        _, real = await fakes.ask("/offers", port=9001, headers=[("x-tailgate-seq", "9")])
        return seen, real

    seen, real = run(scenario())
    assert seen == real
    canary, call = fakes.rows()
    assert canary["arrived_ns"] == canary["due_ns"] == canary["done_ns"]
    assert (canary["seq"], canary["flags"], canary["status"]) == (NO_SEQ, FLAG_CANARY, 200)
    assert call["flags"] == 0
    assert call["due_ns"] - call["arrived_ns"] == latency_ns(9, 0, "gcp")


def test_a_client_that_leaves_is_recorded_with_the_moment_it_left(fakes: Fakes) -> None:
    status, _ = run(fakes.ask(headers=[("x-tailgate-seq", "17")], gone_after_s=0.001))
    assert status == 0
    (row,) = fakes.rows()
    assert (row["status"], row["bytes"], row["first_ns"]) == (0, 0, 0)
    assert row["done_ns"] - row["arrived_ns"] == pytest.approx(0.001 * NS, abs=1000)
    assert row["due_ns"] - row["arrived_ns"] == latency_ns(17)


def test_a_call_that_waits_when_the_process_stops_is_answered_503(fakes: Fakes) -> None:
    async def scenario() -> tuple[int, bytes]:
        call = asyncio.create_task(fakes.ask(headers=[("x-tailgate-seq", "17")]))
        await asyncio.sleep(0.001)
        call.cancel()
        return await call

    status, body = run(scenario())
    (row,) = fakes.rows()
    assert (status, row["status"], row["bytes"]) == (503, 503, len(body))
    assert row["done_ns"] < row["due_ns"]


def test_health_is_the_rigs_own_question_and_leaves_no_row(fakes: Fakes) -> None:
    assert run(fakes.ask("/-/ready"))[0] == 200
    assert fakes.rows() == []


def test_a_wrong_path_is_told_at_once_and_recorded(fakes: Fakes) -> None:
    assert run(fakes.ask("/v1/offers", headers=[("x-tailgate-seq", "3")]))[0] == 404
    (row,) = fakes.rows()
    assert (row["seq"], row["status"], row["due_ns"]) == (3, 404, row["arrived_ns"])
    assert row["route"] == NO_ROUTE


class Echo:
    """Answers 201 with what it was asked: a provider of no offers at all."""

    name: ClassVar = "echo"
    speaks: ClassVar = "anything but GET /nothing"
    health: ClassVar = IncomingRequest("GET", "/health")
    empty: ClassVar = Response.of_json(200, b"{}")

    def __init__(self, upstream: str, spec: FakeSpec, seed: int) -> None:
        self._name = upstream

    def respond(self, request: IncomingRequest) -> Response:
        if request.path == "/nothing":
            return Response.of_error(404, "nothing")
        key = dict(request.headers).get(b"x-key", b"").decode()
        asked = [self._name, request.method, request.path, request.query.decode(), key, request.body.decode()]
        return Response.of_json(201, json.dumps(asked).encode())


def test_a_provider_sees_the_whole_request_and_the_server_keeps_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "PROVIDERS", (*providers.PROVIDERS, Echo))
    planned = upstream("azure", 0, p50_ms=100.0, p99_ms=100.0, provider="echo")
    with contextlib.closing(FaultyFakes(tmp_path, upstreams=(planned,))) as fakes:
        made = fakes.call(3, path="/v1/x?a=b", method="PUT", headers=[("x-key", "k")], body=b"so")
        got = run(made)
        lost = run(fakes.call(4, path="/nothing"))
        canary = run(fakes.call(None, path="/offers", canary=True))
    assert (got.status, json.loads(got.body)) == (201, ["azure", "PUT", "/v1/x", "a=b", "k", "so"])
    assert got.end_s == pytest.approx(0.1)
    assert (lost.status, lost.end_s) == (404, 0.0)
    assert json.loads(canary.body) == ["azure", "GET", "/health", "", "", ""]
    assert [row["route"] for row in fakes.rows()] == [0, NO_ROUTE, 0]


def test_a_row_that_cannot_be_kept_does_not_harm_the_call(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fakes._rows, "append", full)
    assert run(fakes.ask())[0] == 200
    assert fakes.app.broken is not None
    assert fakes.app.broken.errno == 28
