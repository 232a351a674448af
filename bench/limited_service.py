"""A service whose limit is known: what `bench.capacity_truth` searches.

    python bench/limited_service.py PORT pool WORKERS WORK_MS
    python bench/limited_service.py PORT cpu WORK_MS
    python bench/limited_service.py PORT collapse WORKERS WORK_MS
    python bench/limited_service.py PORT threads WORKERS UPSTREAM_URL

`pool`: so many requests are worked on at once, each for a fixed time; more wait in a queue without bound. `cpu`: one
event loop that computes for a fixed processor time a request. `collapse`: a pool whose callers give up: each request
that waited for longer than `PATIENCE_S` has been sent again by then, and the old one is worked on all the same. Once
the queue is that long it never empties by itself. `threads`: so many threads, started as they are needed; each asks the
upstream and waits for its answer.
"""

from __future__ import annotations

import asyncio
import http.client
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
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
    if kind == "cpu":
        service = Processor(float(figures[0]) / 1000)
    elif kind == "threads":
        service = Threads(int(figures[0]), figures[1])
    else:
        service = Pool(int(figures[0]), float(figures[1]) / 1000, collapses=kind == "collapse")
    asyncio.run(serve(int(port), service))


if __name__ == "__main__":
    main()
