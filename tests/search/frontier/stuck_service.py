"""A service that an outage of its upstream leaves slow: `python stuck_service.py PORT UPSTREAM_URL`.

Each request asks the upstream and answers when that has answered. A request that waited for longer than `PATIENCE_S`
is never given up, as a retry without an end is not: from then on it takes `WORK_S` of each later request.
"""

from __future__ import annotations

import asyncio
import sys
import time
from urllib.parse import urlsplit

PATIENCE_S = 8.0
WORK_S = 0.1


class Service:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._lost = 0

    async def answer(self) -> None:
        begun = time.monotonic()
        try:
            await self._ask()
        finally:  # also where the connection is reset when the outage ends
            if time.monotonic() - begun > PATIENCE_S:
                self._lost += 1
        if self._lost:
            await asyncio.sleep(WORK_S * self._lost)

    async def _ask(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(f"GET /offers HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            await reader.read()
        finally:
            writer.close()


async def serve(port: int, service: Service) -> None:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if not head.startswith(b"GET /healthz"):
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


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Service(sys.argv[2])))
