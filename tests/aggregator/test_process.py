"""The aggregator as a process on real sockets: connections let go, a pool that never fills, a quick end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest

from aggregator.transport import make_client
from tests.aggregator.world import offer

pytestmark = pytest.mark.stack

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
async def aggregator(rung: str, **backends: RawBackend) -> AsyncIterator[Sut]:
    addresses = ",".join(f"{name}=http://127.0.0.1:{backend.port}" for name, backend in backends.items())
    env = os.environ | {
        "AGGREGATOR_BACKENDS": addresses,
        "AGGREGATOR_BACKEND_DEADLINE_MS": str(DEADLINE_S * 1000),
    }
    command = (sys.executable, "-P", "-m", "aggregator", "--rung", rung, "--port", "0")
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


@pytest.mark.parametrize("behave", [hang, drip])
def test_a_call_given_up_lets_go_of_its_connection(behave: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
    """150 at once: more than any default pool holds (100), and every healthy call still gets through."""

    async def scenario() -> None:
        async with (
            served(behave) as azure,
            served(answer) as gcp,
            aggregator("timeout", azure=azure, gcp=gcp) as sut,
            user() as client,
        ):
            replies = await asyncio.gather(*(client.get(f"{sut.url}/v1/offers") for _ in range(150)))
            for reply in replies:
                document = reply.json()
                assert document["missing"] == [{"backend": "azure", "reason": "timeout"}]
                assert [row["provider"] for row in document["offers"]] == ["gcp"]
            assert azure.most_open == 150
            await azure.until_open(0)
            line = json.loads(await sut.log.readline())
            assert (line["level"], line["backend"], line["reason"]) == ("ERROR", "azure", "timeout")

    asyncio.run(scenario())


def test_without_a_deadline_a_gateway_that_gives_up_frees_nothing() -> None:
    """The story's second half: the client is gone, its call is still held."""

    async def scenario() -> None:
        async with (
            served(hang) as azure,
            served(answer) as gcp,
            aggregator("parallel", azure=azure, gcp=gcp) as sut,
            user() as client,
        ):
            with pytest.raises(httpx.TransportError):
                await client.get(f"{sut.url}/v1/offers", timeout=0.3)
            await client.get(f"{sut.url}/healthz")  # it has seen the hang-up by now, and is well
            metrics = (await client.get(f"{sut.url}/metrics")).text
            assert 'aggregator_backend_in_flight{backend="azure"} 1.0' in metrics
            assert azure.open == 1

    asyncio.run(scenario())


def test_told_to_stop_it_answers_what_hangs_and_leaves_soon() -> None:
    async def scenario() -> None:
        async with (
            served(hang) as azure,
            aggregator("sequential", azure=azure) as sut,
            user() as client,
        ):
            waiting = asyncio.create_task(client.get(f"{sut.url}/v1/offers"))
            await azure.until_open(1)
            sut.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(3):
                assert await sut.process.wait() == 0
            reply = await waiting
            assert (reply.status_code, reply.json()["error"]) == (503, {"message": "the service is stopping"})
            assert b"Traceback" not in await sut.log.read()

    asyncio.run(scenario())


def test_a_port_in_use_is_its_last_word() -> None:
    async def scenario() -> None:
        async with served(answer) as gcp:
            command = (sys.executable, "-P", "-m", "aggregator", "--rung", "timeout", "--port", str(gcp.port))
            env = os.environ | {"AGGREGATOR_BACKENDS": f"gcp=http://127.0.0.1:{gcp.port}"}
            process = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.PIPE)
            async with asyncio.timeout(PATIENCE_S):
                _, log = await process.communicate()
            assert process.returncode == 2
            assert log.decode() == f"error: cannot listen on 127.0.0.1:{gcp.port}: Address already in use\n"

    asyncio.run(scenario())
