"""A service whose limit is known: what `bench.capacity_truth` searches.

    python bench/limited_service.py PORT pool WORKERS WORK_MS
    python bench/limited_service.py PORT cpu WORK_MS
    python bench/limited_service.py PORT collapse WORKERS WORK_MS

`pool`: so many requests are worked on at once, each for a fixed time; more wait in a queue without bound. `cpu`: one
event loop that computes for a fixed processor time a request. `collapse`: a pool whose callers give up: each request
that waited for longer than `PATIENCE_S` has been sent again by then, and the old one is worked on all the same. Once
the queue is that long it never empties by itself.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

PATIENCE_S: Final = 0.5
MORE: Final = 2
"""How many requests of its own a request that waited too long costs in `collapse`."""
HEALTH: Final = b"GET /healthz"


class Pool:
    def __init__(self, workers: int, work_s: float, *, collapses: bool = False) -> None:
        self._free = asyncio.Semaphore(workers)
        self._work_s = work_s
        self._collapses = collapses
        self._again: set[asyncio.Task[None]] = set()

    async def answer(self) -> None:
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

    async def answer(self) -> None:
        end_s = time.thread_time() + self._work_s
        while time.thread_time() < end_s:
            pass


async def serve(port: int, service: Pool | Processor) -> None:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if not head.startswith(HEALTH):
                    await service.answer()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port, backlog=4_096)
    async with server:
        await server.serve_forever()


def main() -> None:
    port, kind, *figures = sys.argv[1:]
    if kind == "cpu":
        service: Pool | Processor = Processor(float(figures[0]) / 1000)
    else:
        service = Pool(int(figures[0]), float(figures[1]) / 1000, collapses=kind == "collapse")
    asyncio.run(serve(int(port), service))


if __name__ == "__main__":
    main()
