"""A service whose limit is known: what `bench.capacity_truth` searches.

    python bench/limited_service.py PORT pool WORKERS WORK_MS
    python bench/limited_service.py PORT cpu WORK_MS
    python bench/limited_service.py PORT collapse WORKERS WORK_MS
    python bench/limited_service.py PORT threads WORKERS UPSTREAM_URL
    python bench/limited_service.py PORT connections WORKERS UPSTREAM_URL
    python bench/limited_service.py PORT backlog LENGTH WORK_MS

`pool`: so many requests are worked on at once, each for a fixed time; more wait in a queue without bound. `cpu`: one
event loop that computes for a fixed processor time a request. `collapse`: a pool whose callers give up: each request
that waited for longer than `PATIENCE_S` has been sent again by then, and the old one is worked on all the same. Once
the queue is that long it never empties by itself. `threads`: so many threads, started as they are needed; each asks the
upstream and waits for its answer. `connections`: an event loop whose pool has so many connections to the upstream; a
request waits until one is free. `backlog`: one connection is accepted, answered and closed after the other, and the
kernel keeps a queue of so many in between.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Protocol
from urllib.parse import urlsplit

PATIENCE_S: Final = 0.5
MORE: Final = 2
"""How many requests of its own a request that waited too long costs in `collapse`."""
HEALTH: Final = b"GET /healthz"
UPSTREAM_TIMEOUT_S: Final = 10.0
SEQ_HEADER: Final = "x-tailgate-seq"


class Limited(Protocol):
    async def answer(self, head: bytes) -> None:
        """Do the work of one request, whose head this is."""


class Pool:
    def __init__(self, workers: int, work_s: float, *, collapses: bool = False) -> None:
        self._free = asyncio.Semaphore(workers)
        self._work_s = work_s
        self._collapses = collapses
        self._again: set[asyncio.Task[None]] = set()

    async def answer(self, _head: bytes) -> None:
        waited_since = time.monotonic()
        async with self._free:
            if self._collapses and time.monotonic() - waited_since > PATIENCE_S:
                for _ in range(MORE):
                    task = asyncio.create_task(self._repeat())
                    self._again.add(task)
                    task.add_done_callback(self._again.discard)
            await asyncio.sleep(self._work_s)

    async def _repeat(self) -> None:
        async with self._free:
            await asyncio.sleep(self._work_s)


class Processor:
    def __init__(self, work_s: float) -> None:
        self._work_s = work_s

    async def answer(self, _head: bytes) -> None:
        end_s = time.thread_time() + self._work_s
        while time.thread_time() < end_s:
            pass


class Threads:
    """Each thread keeps one connection to the upstream, and tells it which request the call is for."""

    def __init__(self, workers: int, upstream_url: str) -> None:
        self._pool = ThreadPoolExecutor(workers)
        self._address = urlsplit(upstream_url).netloc
        self._own = threading.local()

    async def answer(self, head: bytes) -> None:
        lines = (line.partition(":") for line in head.decode("latin-1").splitlines()[1:])
        numbers = {name.lower(): value.strip() for name, _, value in lines if name.lower() == SEQ_HEADER}
        await asyncio.get_running_loop().run_in_executor(self._pool, self._ask, numbers)

    def _ask(self, headers: dict[str, str]) -> None:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = http.client.HTTPConnection(self._address, timeout=UPSTREAM_TIMEOUT_S)
        try:
            connection.request("GET", "/", headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.client.OK:
                raise http.client.HTTPException(f"the upstream answered {answer.status}")
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request connects again
            raise


class Connections:
    """A pool of connections that are kept, opened as they are needed; the one that was used last is taken first."""

    def __init__(self, most: int, upstream_url: str) -> None:
        self._free = asyncio.Semaphore(most)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        address = urlsplit(upstream_url)
        self._host, self._port = address.hostname, address.port

    async def answer(self, head: bytes) -> None:
        own = [line for line in head.split(b"\r\n") if line.lower().startswith(SEQ_HEADER.encode())]
        async with self._free:
            reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
            try:
                writer.write(b"\r\n".join([b"GET / HTTP/1.1", b"Host: upstream", *own, b"", b""]))
                answer = await reader.readuntil(b"\r\n\r\n")
                lengths = [line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(lengths[0].partition(b":")[2]))
            except BaseException:
                writer.close()
                raise
            self._idle.append((reader, writer))


def serve_one_by_one(port: int, backlog: int, work_s: float) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=backlog) as server:
        while True:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.settimeout(UPSTREAM_TIMEOUT_S)
                if not connection.recv(65_536).startswith(HEALTH):
                    time.sleep(work_s)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")


async def serve(port: int, service: Limited) -> None:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if not head.startswith(HEALTH):
                    await service.answer(head)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError, http.client.HTTPException):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port, backlog=4_096)
    async with server:
        await server.serve_forever()


def main() -> None:
    port, kind, *figures = sys.argv[1:]
    service: Limited
    if kind == "backlog":
        serve_one_by_one(int(port), int(figures[0]), float(figures[1]) / 1000)
        return
    if kind == "cpu":
        service = Processor(float(figures[0]) / 1000)
    elif kind == "threads":
        service = Threads(int(figures[0]), figures[1])
    elif kind == "connections":
        service = Connections(int(figures[0]), figures[1])
    else:
        service = Pool(int(figures[0]), float(figures[1]) / 1000, collapses=kind == "collapse")
    asyncio.run(serve(int(port), service))


if __name__ == "__main__":
    main()
