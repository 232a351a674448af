"""A connection to an origin."""

from __future__ import annotations

import asyncio
import socket


async def connected(host: str, port: int, within_s: float) -> socket.socket:
    """A non-blocking socket, connected to the first address of the host that accepts it.

    Raises OSError: that of the last address, socket.gaierror if there is no address, TimeoutError after `within_s`.
    """
    loop = asyncio.get_running_loop()
    failure: OSError = ConnectionRefusedError()
    async with asyncio.timeout(within_s):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
    raise failure
