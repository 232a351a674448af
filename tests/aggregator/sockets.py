"""Backends on real sockets that count what is open to them, and the aggregator as a process in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from aggregator.backend_pipeline import AsksBackend
from aggregator.backends.connect import connected
from aggregator.backends.transport import make_client
from aggregator.settings import parse_settings
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
    opened: int = 0
    """Connections in all."""
    asked: list[bytes] = field(default_factory=list)
    """The head of each request."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        await self._count(+1)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    self.asked.append(await reader.readuntil(b"\r\n\r\n"))
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


def response(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """With the length it has, unless a header tells another; the last of its connection."""
    told = any(header.lower().startswith((b"content-length", b"transfer-encoding")) for header in headers)
    length = () if told else (b"content-length: %d" % len(body),)
    return b"\r\n".join((b"HTTP/1.1 " + status, b"connection: close", *headers, *length, b"", body))


async def say_and_close(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    with contextlib.suppress(ConnectionError):  # who has seen enough of it does not read on
        await writer.drain()
    writer.close()


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
async def aggregator(
    rung: str, *options: str, deadline_s: float = DEADLINE_S, **backends: RawBackend
) -> AsyncIterator[Sut]:
    addresses = ",".join(f"{name}=http://127.0.0.1:{backend.port}" for name, backend in backends.items())
    env = os.environ | {
        "AGGREGATOR_BACKENDS": addresses,
        "AGGREGATOR_BACKEND_DEADLINE_MS": str(deadline_s * 1000),
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


CLIENTS: Final = {
    "aiohttp": ("--rung", "parallel", "--client", "aiohttp"),
    "httpx": ("--rung", "parallel", "--client", "httpx"),
    "urllib3": ("--rung", "threads"),
}
"""Each way to speak to backends, and what chooses it."""


@contextlib.asynccontextmanager
async def spoken_to(
    client: str, *backends: RawBackend, read_timeout_ms: float = 0
) -> AsyncIterator[Sequence[AsksBackend]]:
    """The backends as the service has them, by one of CLIENTS."""
    env = {
        "AGGREGATOR_BACKENDS": ",".join(f"b{it.port}=http://127.0.0.1:{it.port}" for it in backends),
        "AGGREGATOR_READ_TIMEOUT_MS": str(read_timeout_ms),
    }
    async with asyncio.timeout(PATIENCE_S), connected(parse_settings([*CLIENTS[client], "--port", "0"], env)) as asked:
        yield asked


@contextlib.asynccontextmanager
async def user() -> AsyncIterator[httpx.AsyncClient]:
    async with make_client([]) as client:
        client.timeout = httpx.Timeout(PATIENCE_S)
        yield client
