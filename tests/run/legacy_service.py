"""A service with a partner behind a proxy that exists already: asks it for each request, and answers without it too.

legacy_service.py PORT [HOST]
"""

from __future__ import annotations

import asyncio
import os
import sys
from urllib.parse import urlsplit

PATIENCE_S = float(os.environ.get("LEGACY_PATIENCE_S", "1"))


async def ask(url: str) -> bool:
    at = urlsplit(url)
    writer = None
    try:
        async with asyncio.timeout(PATIENCE_S):
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
    host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    async with await asyncio.start_server(serve, host, int(sys.argv[1]), backlog=1024) as server:
        await server.serve_forever()


asyncio.run(main())
