"""A connection to an origin, and why there is none."""

from __future__ import annotations

import asyncio
import socket
import ssl


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


def why_not(error: OSError, within_s: float) -> str:
    """Why an origin took no connection, a clause without its subject. `within_s`: how long it had."""
    if isinstance(error, ssl.SSLError):
        return f"failed in TLS: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(error, TimeoutError):
        return f"did not take the connection in {within_s:.0f} s"
    if isinstance(error, ConnectionError):
        return f"broke the connection off: {error.strerror or error}"
    return f"cannot be reached: {error.strerror or error}"
