"""Backends on real sockets that count what is open to them, and the aggregator as a process in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from aggregator.transport import make_client
from tests.aggregator.world import offer

PATIENCE_S = 20.0
DEADLINE_S = 0.6


@dataclass
class RawBackend:
    """A TCP server that answers as `behave` says, and counts what is open to it."""

    behave: Callable[[asyncio.StreamWriter], Awaitable[None]]
    port: int = 0
    open: int = 0
    most_open: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._count(+1)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    answering = asyncio.ensure_future(self.behave(writer))
                    gone = asyncio.ensure_future(reader.read(1))  # the client never pipelines: only its EOF is read
                    await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED)
                    if not answering.done() or gone.done():
                        answering.cancel()
                        return
                    gone.cancel()
                    await asyncio.wait((gone,))
        finally:
            writer.close()
            await self._count(-1)

    async def _count(self, by: int) -> None:
        async with self.changed:
            self.open += by
            self.most_open = max(self.most_open, self.open)
            self.changed.notify_all()

    async def until_open(self, wanted: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: self.open == wanted)


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A body that comes a byte at a time, each well within any read timeout."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def answer(writer: asyncio.StreamWriter) -> None:
    body = json.dumps({"offers": [offer("gcp")], "next_cursor": None}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


@contextlib.asynccontextmanager
async def served(behave: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[RawBackend]:
    backend = RawBackend(behave)
    server = await asyncio.start_server(backend.handle, "127.0.0.1", 0, backlog=1024)
    backend.port = server.sockets[0].getsockname()[1]
    try:
        yield backend
    finally:
        server.close()


@dataclass
class Sut:
    process: asyncio.subprocess.Process
    url: str
    log: asyncio.StreamReader


@contextlib.asynccontextmanager
async def aggregator(rung: str, *options: str, **backends: RawBackend) -> AsyncIterator[Sut]:
    addresses = ",".join(f"{name}=http://127.0.0.1:{backend.port}" for name, backend in backends.items())
    env = os.environ | {
        "AGGREGATOR_BACKENDS": addresses,
        "AGGREGATOR_BACKEND_DEADLINE_MS": str(DEADLINE_S * 1000),
    }
    command = (sys.executable, "-P", "-m", "aggregator", "--rung", rung, *options, "--port", "0")
    process = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.PIPE)
    assert process.stderr
    try:
        async with asyncio.timeout(PATIENCE_S):
            started = json.loads(await process.stderr.readline())
        yield Sut(process, f"http://{started['message'].removeprefix('listening on ')}", process.stderr)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def user() -> AsyncIterator[httpx.AsyncClient]:
    async with make_client([]) as client:
        client.timeout = httpx.Timeout(PATIENCE_S)
        yield client
