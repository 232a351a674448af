"""A service with a partner behind a proxy that exists already: asks it for each request and gives up after a second."""

from __future__ import annotations

import asyncio
import os
import sys
from urllib.parse import urlsplit

TIMEOUT_S = 1.0


async def ask(url: str) -> bool:
    at = urlsplit(url)
    writer = None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(at.hostname, at.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: legacy\r\nConnection: close\r\n\r\n")
            return (await reader.readline()).startswith(b"HTTP/1.1 200")
    except (OSError, TimeoutError):
        return False
    finally:
        if writer:
            writer.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        line = await reader.readline()
        while (await reader.readline()).strip():
            continue
        answered = b" /healthz " in line or await ask(os.environ["LEGACY_URL"])
        body = b"ok" if answered else b"without the legacy part"
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main() -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1024) as server:
        await server.serve_forever()


asyncio.run(main())
