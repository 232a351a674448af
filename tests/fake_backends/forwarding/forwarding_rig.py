"""The forwarder on real sockets in the test's own loop, between a client and an origin that does what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
import uvloop

from fake_backends.forwarding.forwarded_backend import ForwardedBackend
from fake_backends.forwarding.noticed import NoticedOfOrigins
from fake_backends.load_records import LoadRecords
from fake_backends.server import FakeBackends
from fake_backends.serving import server_config
from fake_backends.unmatched import UnmatchedCalls
from harness.correlation import CONTROL_HEADER, run_hash
from harness.rundir.origin_notes import OriginNote, read_origin_notes
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.planned.forwarding import ForwardSpec
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.rundir.rows import CALLS, RowWriter, read_rows
from harness.rundir.unmatched import read_unmatched

RUN_ID = "20260101-000000-abcd"
PATIENCE_S = 30.0
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Origin:
    """`requests`: the heads that came, each with the number of its connection."""

    port: int = 0
    requests: list[tuple[int, bytes]] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0

    async def head(self, reader: asyncio.StreamReader, number: int) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append((number, head))
        return head


@dataclass(slots=True)
class Rig:
    port: int
    origin: Origin
    path: Path
    app: FakeBackends

    async def raw(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection with this request on it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        await writer.drain()
        return reader, writer

    async def once(self, request: bytes) -> bytes:
        """All that comes back until the end of the connection. Raises ConnectionResetError where it was reset."""
        reader, writer = await self.raw(request)
        try:
            return await asyncio.wait_for(reader.read(), PATIENCE_S)
        finally:
            writer.close()

    async def get(self, path: str = "/", *headers: str, method: str = "GET") -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{self.port}", "connection: close", *headers, "", ""]
        return await self.once("\r\n".join(lines).encode())

    async def put_fault(self, index: int, *, method: str = "PUT") -> None:
        answer = await self.get(f"/-/faults/{index}/0", f"{CONTROL_HEADER}: {run_hash(RUN_ID)}", method=method)
        assert answer.startswith(b"HTTP/1.1 200 "), answer

    def rows(self) -> Any:
        self.app.load.close()
        return read_rows(self.path / "calls-0.bin", CALLS)

    def noticed(self) -> tuple[OriginNote, ...]:
        self.app.load.flush()
        return read_origin_notes(self.path)

    def unmatched(self) -> list[tuple[str | None, str | None, int | None, int]]:
        self.app.load.flush()
        return [(line.method, line.path, line.status, line.calls) for line in read_unmatched(self.path)]


@contextlib.asynccontextmanager
async def rig(
    path: Path, script: Callable[[Origin], Script] | None, *faults: PlannedFault, **spec: Any
) -> AsyncIterator[Rig]:
    """`script`: what the origin does with each connection; None: nothing listens there."""
    origin = Origin()
    listening = socket.create_server(("127.0.0.1", 0))
    origin.port = listening.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:
        if script is None:
            listening.close()
        else:
            context = spec.pop("origin_context", None)
            server = await asyncio.start_server(_counted(origin, script(origin)), sock=listening, ssl=context)
            stack.push_async_callback(_stop_origin, server)
        front = socket.create_server(("127.0.0.1", 0))
        port = front.getsockname()[1]
        planned = PlannedUpstream(
            name="pay",
            index=0,
            kind="url",
            listener=Endpoint(port=1),
            origin=Endpoint(port=port),
            forward=ForwardSpec(**{"scheme": "http", "host": "127.0.0.1", "port": origin.port, **spec}),
        )
        app = FakeBackends(_records(path, planned, faults), run_hash(RUN_ID))
        serving = uvicorn.Server(server_config(app))
        task = asyncio.ensure_future(serving.serve(sockets=[front]))
        await until(lambda: serving.started)
        try:
            yield Rig(port, origin, path, app)
        finally:
            serving.should_exit = True
            await asyncio.wait_for(task, PATIENCE_S)
            app.load.close()


def _records(path: Path, planned: PlannedUpstream, faults: Sequence[PlannedFault]) -> LoadRecords:
    backend = ForwardedBackend(planned, seed=7, in_flight=100, run=run_hash(RUN_ID), remembers=True)
    return LoadRecords(
        {planned.origin.port: backend},
        RowWriter(path / "calls-0.bin", CALLS),
        UnmatchedCalls(path, {"pay": backend}),
        NoticedOfOrigins(path),
        run_hash(RUN_ID),
        faults,
    )


def _counted(origin: Origin, script: Script) -> Script:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        origin.connections += 1
        origin.open_now += 1
        try:
            await script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            origin.open_now -= 1
            writer.close()

    return serve


async def _stop_origin(server: asyncio.Server) -> None:
    server.close()


def finish(work: Coroutine[Any, Any, None]) -> None:
    """In the event loop that the fakes' process has, within a bound."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(work, 6 * PATIENCE_S))


async def until(reached: Callable[[], object]) -> None:
    """Raises TimeoutError if it is not reached in time."""
    async with asyncio.timeout(PATIENCE_S):
        while not reached():  # noqa: ASYNC110  (the state is that of a server, which has no event for it)
            await asyncio.sleep(0.005)


def answers(*each: bytes) -> Callable[[Origin], Script]:
    """An origin that answers the requests of a connection with these bytes in turn, the last one for all that
    follow."""

    def made(origin: Origin) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number, turn = origin.connections, 0
            while True:
                head = await origin.head(reader, number)
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
                )
                await reader.readexactly(length)
                writer.write(each[min(turn, len(each) - 1)])
                await writer.drain()
                turn += 1

        return script

    return made


def ok(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", *headers, f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def late_ms(rows: np.ndarray[Any, Any]) -> list[float]:
    return [float(ms) for ms in (rows["done_ns"] - rows["arrived_ns"]) / 1e6]
