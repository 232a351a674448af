"""One exchange of a probe with an upstream through its listener: the connection, the deadline and the observation."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
from typing import Final, Protocol

from harness.rundir.planned.upstream import Endpoint
from harness.tls_channel import TlsChannel
from harness.upstreams.probes import Observation, Outcome, Probe

ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024


class OpenPorts(Protocol):
    """Is called with every local port that a probe uses, before its connection can be seen."""

    def opened(self, port: int) -> None: ...

    def closed(self, port: int) -> None: ...


async def observe(
    probe: Probe,
    listener: Endpoint,
    deadline_ms: float,
    ports: OpenPorts,
    context: ssl.SSLContext | None = None,
) -> Observation:
    """Make one exchange, in TLS if there is a `context`.

    Whatever the network does is the observation, so nothing that it causes is raised.
    """
    reading = _Reading(probe, TlsChannel(context) if context else None)
    outcome: Outcome = "ok"
    detail = ""
    sent_ns = time.monotonic_ns()
    try:
        async with asyncio.timeout(deadline_ms / 1000):
            await reading.read(listener, ports)
        if detail := probe.fault:
            outcome = "failed"
    except TimeoutError:
        missing = "no end of the" if probe.received else "no"
        outcome, detail = "held", f"{missing} answer within {deadline_ms:.0f} ms"
    except ssl.SSLError as exc:
        outcome, detail = "failed", f"TLS failed: {exc.reason or 'the connection was closed in the handshake'}"
    except OSError as exc:
        outcome, detail = "failed", os.strerror(exc.errno) if exc.errno else str(exc)
    done_ns = time.monotonic_ns()
    return Observation(
        outcome=outcome,
        sent_ns=sent_ns,
        first_ns=reading.first_ns,
        done_ns=done_ns,
        bytes=probe.received,
        status=probe.status,
        looks=probe.looks() if not detail else None,
        detail=detail,
        sent_bytes=reading.sent_bytes,
    )


class _Reading:
    """Reads one answer. `first_ns`: when its first byte was there; 0 before. `sent_bytes`: what it sent so far."""

    def __init__(self, probe: Probe, tls: TlsChannel | None) -> None:
        self._probe = probe
        self._tls = tls
        self.first_ns = 0
        self.sent_bytes = 0

    async def read(self, listener: Endpoint, ports: OpenPorts) -> None:
        """Connect, send, and feed the probe until it is over or the end of file is reached. Raises OSError."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET6 if ":" in listener.host else socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            # bound first: the connection monitor must know our port before the connection can be seen
            sock.bind(("", 0))
            own_port = sock.getsockname()[1]
            ports.opened(own_port)
            try:
                await loop.sock_connect(sock, (listener.host, listener.port))
                if self._tls:
                    await _shake(sock, self._tls)
                await self._send(sock, self._probe.request)
                await self._converse(sock)
            finally:
                ports.closed(own_port)

    async def _converse(self, sock: socket.socket) -> None:
        probe = self._probe
        while not probe.is_over and not probe.hangs_up:
            chunk = await _received(sock, probe.quiet_ms)
            if chunk is None:
                probe.fall_quiet()
                continue
            if not chunk:
                return
            reply = self._take(chunk)
            # after a whole answer it is a farewell, and the server may have closed already
            with contextlib.suppress(*((OSError,) if probe.is_over or probe.hangs_up else ())):
                await self._send(sock, reply)
        if probe.is_over:
            return
        # the answer is whole, and a server that closed before our farewell came resets the connection
        with contextlib.suppress(ConnectionError):
            with contextlib.suppress(OSError):
                if self._tls:
                    self._tls.end()
                    await self._send(sock, b"")
                sock.shutdown(socket.SHUT_WR)
            while chunk := await _received(sock, None):
                self._take(chunk)

    async def _send(self, sock: socket.socket, data: bytes) -> None:
        if self._tls:
            if data:
                self._tls.write(data)
            data = self._tls.to_send()
        self.sent_bytes += len(data)
        await asyncio.get_running_loop().sock_sendall(sock, data)

    def _take(self, chunk: bytes) -> bytes:
        """Feed what was received. Returns what is to be sent in answer, before encryption."""
        if not self._tls:
            return self._feed(chunk)
        self._tls.received(chunk)
        replies = b""
        while data := self._tls.read():
            replies += self._feed(data)
        if data == b"":
            # a fake closes the connection once both sides have said so; its close is what `slow_close` delays
            self._tls.end()
        return replies

    def _feed(self, chunk: bytes) -> bytes:
        self.first_ns = self.first_ns or time.monotonic_ns()
        reply = self._probe.feed(chunk)
        if self._probe.received > ANSWER_BYTES_MAX:
            raise OSError(f"more than {ANSWER_BYTES_MAX} bytes")
        return reply


async def _received(sock: socket.socket, quiet_ms: float | None) -> bytes | None:
    """What is received next; empty at the end of file; None if nothing is for `quiet_ms`. Raises OSError."""
    receive = asyncio.get_running_loop().sock_recv(sock, _CHUNK_BYTES)
    if quiet_ms is None:
        return await receive
    try:
        async with asyncio.timeout(quiet_ms / 1000):
            return await receive
    except TimeoutError:
        return None


async def _shake(sock: socket.socket, tls: TlsChannel) -> None:
    """Raises OSError, which includes ssl.SSLError."""
    loop = asyncio.get_running_loop()
    while not tls.shake():
        await loop.sock_sendall(sock, tls.to_send())
        tls.received(await loop.sock_recv(sock, _CHUNK_BYTES))
