"""The fakes' application in virtual time; faults are put on over its control path, as the supervisor does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from fake_backends.backend import Backend, FakeBackend
from fake_backends.forwarding.noticed import NoticedOfOrigins
from fake_backends.load_records import LoadRecords
from fake_backends.server import FakeBackends
from fake_backends.unmatched import UnmatchedCalls
from harness.correlation import CONTROL_HEADER, run_hash
from harness.rundir.planned.behaviours import Behaviour
from harness.rundir.planned.fault import FaultWindow, PlannedFault, Proof
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.rows import CALLS, RowWriter, read_rows
from tests.fake_backends.plans import SEED, upstream
from tests.virtual_time import now_ns, now_s

RUN = run_hash("20260101-000000-abcd")


def fault(
    does: Behaviour, *, name: str = "f", share: float = 1.0, upstreams: tuple[str, ...] = ("azure",)
) -> PlannedFault:
    return PlannedFault(
        name=name,
        kind=does.kind,
        text=does.kind,
        upstreams=upstreams,
        windows=(FaultWindow(apply_ms=0, remove_ms=1000), FaultWindow(apply_ms=2000, remove_ms=3000)),
        behaviour=does,
        held_ms=0,
        share=share,
        proof=Proof(kind="failed"),
    )


@dataclass(slots=True)
class Got:
    """What a client got: `whole` is False where the body was left open, `head_s` and `end_s` count from the call."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    head_s: float = 0.0
    end_s: float = 0.0
    pieces: list[tuple[float, int]] = field(default_factory=list)


class FaultyFakes:
    """Azure (port 9000) and whoever else is given, under the plan's faults; `await call()` is one call."""

    def __init__(self, path: Path, *faults: PlannedFault, upstreams: Sequence[PlannedUpstream] = ()) -> None:
        self._path = path / "calls-0.bin"
        self._rows = RowWriter(self._path, CALLS)
        planned = upstreams or (upstream("azure", 0, p50_ms=100.0, p99_ms=100.0),)
        backends: dict[int, Backend] = {
            each.origin.port: FakeBackend(each, seed=SEED, in_flight=10, clock_ns=now_ns) for each in planned
        }
        unmatched = UnmatchedCalls(path, {each.name: each for each in backends.values()}, ("s3cret-word",))
        self.app = FakeBackends(
            LoadRecords(backends, self._rows, unmatched, NoticedOfOrigins(path), RUN, faults), RUN, clock_ns=now_ns
        )

    async def call(
        self,
        seq: int | None = 0,
        *,
        path: str = "/offers",
        method: str = "GET",
        port: int = 9000,
        canary: bool = False,
        gone_after_s: float | None = None,
        control: str = "",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Got:
        got, began_s = Got(), now_s()
        asked = False

        async def receive() -> MutableMapping[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": body, "more_body": False}
            await asyncio.sleep(1e6 if gone_after_s is None else gone_after_s)
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                got.status = message["status"]
                got.headers = {name.decode(): value.decode() for name, value in message["headers"]}
                got.head_s = now_s() - began_s
                return
            got.body += message["body"]
            got.pieces.append((now_s() - began_s, len(message["body"])))
            if not message.get("more_body"):
                got.whole, got.end_s = True, now_s() - began_s

        sent = [*headers, *([(CONTROL_HEADER, control)] if control else [])]
        sent += [("x-tailgate-canary", "1")] if canary else []
        sent += [("x-tailgate-seq", str(seq))] if seq is not None else []
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "server": ("127.0.0.1", port),
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent],
        }
        await self.app(scope, receive, send)
        return got

    async def standing(self, method: str = "GET", path: str = "", *, port: int = 9000) -> list[list[int]]:
        """As the supervisor asks; PUT /0/0 puts window 0 of fault 0 on, DELETE lifts it."""
        got = await self.call(None, path=f"/-/faults{path}", method=method, port=port, control=RUN)
        assert got.status == 200, got.body
        standing: list[list[int]] = orjson.loads(got.body)["standing"]
        return standing

    async def apply(self, *faults: int) -> None:
        for index in faults or (0,):
            await self.standing("PUT", f"/{index}/0")

    async def lift(self, index: int = 0) -> None:
        await self.standing("DELETE", f"/{index}/0")

    def rows(self) -> list[dict[str, int]]:
        self.close()
        return [{name: int(row[name]) for name, _ in CALLS.fields} for row in read_rows(self._path, CALLS)]

    def close(self) -> None:
        self._rows.close()


MakeFakes = Callable[..., FaultyFakes]
