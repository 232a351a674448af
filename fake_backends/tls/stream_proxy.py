"""A proxy for bytes that speaks TLS on one side or on both, for protocols that are not HTTP.

Each direction is one loop: receive a piece, send all of it, and only then receive the next one. So a sender that is
faster than the receiver is held up by its own connection, and memory is bounded. What the bytes say is neither looked
at nor logged. There are no retries: if the origin refuses a connection, the client's connection is reset, and that is
reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fake_backends.tls.connecting import connected, why_not
from harness.rundir.origin_notes import OriginNoteKind
from harness.rundir.planned.forwarding import StreamSpec
from harness.tls_channel import CHUNK_BYTES, TlsChannel

CONNECT_S: Final = 10.0
ORIGIN_HANDSHAKE_S: Final = 10.0
CLIENT_HANDSHAKE_S: Final = 3600.0
"""Longer than any run: a fault on the wire between the client and us may hold the handshake, and shall not break it."""
HALF_OPEN_S: Final = 3600.0
"""How long one direction may go on after the other one has ended: longer than any run."""
OPEN_MOST: Final = 4096
_FILES_A_CONNECTION: Final = 2
_FILES_KEPT: Final = 64
"""File descriptors that are left to the rest of the process."""
_ACCEPT_AGAIN_S: Final = 0.1
_NO_LINGER: Final = struct.pack("ii", 1, 0)

Tell = Callable[[OriginNoteKind, str], None]
"""Takes the kind of a note and its text, once for each connection that the note is about."""


class StreamProxy:
    """A running proxy. `close` ends it and every connection, and returns when no task of it is left."""

    def __init__(self, listener: socket.socket, config: _ProxyConfig, open_most: int) -> None:
        self._listener = listener
        self._config = config
        self._open_most = open_most
        self._connections: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    @property
    def open(self) -> int:
        """How many connections of clients are open."""
        return len(self._connections)

    async def close(self) -> None:
        """The listening socket stays the caller's. Idempotent."""
        tasks = [self._accepting, *self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener.setblocking(False)
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError:  # the client has left already, or there is no file descriptor left
                await asyncio.sleep(_ACCEPT_AGAIN_S)
                continue
            if len(self._connections) >= self._open_most:
                self._config.tell("too_many", str(self._open_most))
                _reset(client)
                continue
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(_serve_connection(client, self._config))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)


async def serve(
    listener: socket.socket,
    origin: StreamSpec,
    *,
    server_context: ssl.SSLContext | None,
    client_context: ssl.SSLContext | None,
    server_name: str,
    tell: Tell,
) -> StreamProxy:
    """Carry the connections of a listening socket to the origin, until the returned proxy is closed.

    `server_context`: the TLS that clients speak; `client_context`: the TLS that the origin speaks; None: that side is
    plain. `server_name`: for SNI and the origin's certificate. `tell` hears of each connection that came to nothing.
    At most OPEN_MOST connections are open at once, and as many as the open-file limit allows; a further one is reset.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = OPEN_MOST if soft == resource.RLIM_INFINITY else max(1, (soft - _FILES_KEPT) // _FILES_A_CONNECTION)
    config = _ProxyConfig(origin, server_context, client_context, server_name, tell)
    return StreamProxy(listener, config, min(OPEN_MOST, room))


@dataclass(frozen=True, slots=True)
class _ProxyConfig:
    """What every connection of one proxy needs."""

    origin: StreamSpec
    server_context: ssl.SSLContext | None
    client_context: ssl.SSLContext | None
    server_name: str
    tell: Tell


@dataclass(slots=True)
class _End:
    """One side of a carried connection. Methods raise OSError, which includes ssl.SSLError."""

    sock: socket.socket
    tls: TlsChannel | None
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def shake(self, within_s: float) -> None:
        if self.tls is None:
            return
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(within_s):
            try:
                while not self.tls.shake():
                    await self._flush()
                    self.tls.received(await loop.sock_recv(self.sock, CHUNK_BYTES))
            finally:
                await self._flush()  # also an alert that says why it failed

    async def receive(self) -> bytes:
        """What came next; `b""`: this side sends no more."""
        loop = asyncio.get_running_loop()
        if self.tls is None:
            return await loop.sock_recv(self.sock, CHUNK_BYTES)
        while (data := self.tls.read()) is None:
            if not self._sending.locked():
                # Reading may have called for records to send. A task that is sending sends them too, and to wait for it
                # would hold up reading.
                await self._flush()
            self.tls.received(await loop.sock_recv(self.sock, CHUNK_BYTES))
        return data

    async def send(self, data: bytes) -> None:
        if self.tls is None:
            await asyncio.get_running_loop().sock_sendall(self.sock, data)
        else:
            self.tls.write(data)
            await self._flush()

    async def end(self, *, was_cut: bool) -> None:
        """Close this direction; the other one stays open. `was_cut`: the sender's TLS ended without close_notify. Then
        none is sent here either, so that the receiver sees that something is missing."""
        if self.tls is None or was_cut:
            self.sock.shutdown(socket.SHUT_WR)
        else:
            self.tls.end()
            await self._flush()

    async def _flush(self) -> None:
        if self.tls is None:
            return
        async with self._sending:  # the tasks of both directions send on this socket
            while pending := self.tls.to_send():
                await asyncio.get_running_loop().sock_sendall(self.sock, pending)


async def _serve_connection(client_socket: socket.socket, config: _ProxyConfig) -> None:
    """One connection, from its acceptance to its end. An error on either side resets both."""
    with contextlib.ExitStack() as opened:
        opened.callback(client_socket.close)
        client = _End(
            client_socket, TlsChannel(config.server_context, server_side=True) if config.server_context else None
        )
        try:
            # the origin first: a client that it refuses shall not get as far as a handshake
            origin = await _to_origin(config, opened)
            try:
                await client.shake(CLIENT_HANDSHAKE_S)
                await _relay(client, origin)
            except OSError:  # TimeoutError too
                _reset(origin.sock)
                raise
        except OSError:
            _reset(client_socket)


async def _to_origin(config: _ProxyConfig, opened: contextlib.ExitStack) -> _End:
    """A connection on which the origin speaks TLS already, if it does at all. Raises OSError, and tells of it."""
    try:
        sock = await connected(config.origin.host, config.origin.port, CONNECT_S)
        opened.callback(sock.close)
        context = config.client_context
        origin = _End(sock, TlsChannel(context, server_name=config.server_name) if context else None)
        try:
            await origin.shake(ORIGIN_HANDSHAKE_S)
        except OSError:
            _reset(sock)
            raise
    except OSError as error:
        config.tell("no_connection", why_not(error, CONNECT_S))
        raise
    return origin


async def _relay(client: _End, origin: _End) -> None:
    """Raises the first OSError of either direction."""
    try:
        async with asyncio.TaskGroup() as group:
            ways = (
                group.create_task(_relay_direction(client, origin)),
                group.create_task(_relay_direction(origin, client)),
            )
            group.create_task(_limit_half_open(*ways))
    except ExceptionGroup as failed:
        first = failed.exceptions[0]
        raise first from None


async def _relay_direction(source: _End, sink: _End) -> None:
    while data := await source.receive():
        await sink.send(data)
    await sink.end(was_cut=source.tls is not None and source.tls.was_cut)


async def _limit_half_open(*ways: asyncio.Task[None]) -> None:
    """Once one direction has ended, the other one has HALF_OPEN_S to end."""
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    _, left = await asyncio.wait(ways, timeout=HALF_OPEN_S)
    if left:
        raise TimeoutError


def _reset(sock: socket.socket) -> None:
    """Close a connection by RST. Idempotent."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    sock.close()
