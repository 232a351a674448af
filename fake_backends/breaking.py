"""Answers that are no answers: the connection is closed or reset in their place, or carries garbage."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import Final, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fake_backends.response_writer import Message
from harness.rundir.planned.routes import BrokenAnswer

_TRANSPORT: Final = "tailgate.transport"
_TARGET: Final = "tailgate.target"
_FLIGHTS: Final = "tailgate.flights"
_GARBAGE: Final = bytes(range(128, 256)) * 4
"""No HTTP, and the same in every run."""
_HEAD: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Closeable(Protocol):
    def close(self) -> None: ...


class BreakableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, whose requests know the transport that they came by, the handshake before them, and their
    target as it was sent.

    `beyond`: the connection to a real origin that belongs to this one; the two end together.
    """

    beyond: Closeable | None = None
    _was_asked = False

    def on_message_begin(self) -> None:
        super().on_message_begin()
        flights = 0 if self._was_asked else _flights(self.transport.get_extra_info("ssl_object"))
        self._was_asked = True
        self.scope["extensions"] = {_TRANSPORT: self.transport, _FLIGHTS: flights}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        self.scope["extensions"][_TARGET] = self.url  # type: ignore[assignment]
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.beyond:
            self.beyond.close()
        super().connection_lost(exc)

    def end_when_idle(self) -> None:
        """Close the connection unless a request on it is being answered, whose own code then ends it."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def transport_of(scope: Message) -> asyncio.Transport:
    """The transport that a request came by."""
    transport: asyncio.Transport = scope["extensions"][_TRANSPORT]
    return transport


def target_of(scope: Message) -> bytes:
    """The target of a request as it was sent, such as `/v1?a=b`; empty where another server has taken it."""
    target: bytes = scope.get("extensions", {}).get(_TARGET, b"")
    return target


def flights_before(scope: Message) -> int:
    """How many flights of ours the handshake before this request had; 0: it is not the first one on its connection, or
    there is no TLS."""
    flights: int = scope.get("extensions", {}).get(_FLIGHTS, 0)
    return flights


def _flights(tls: ssl.SSLObject | None) -> int:
    if tls is None:
        return 0
    return 1 if tls.version() == "TLSv1.3" or tls.session_reused else 2


def break_connection(scope: Message, how: BrokenAnswer) -> int:
    """Break the connection of a request that has not been answered whole. Returns how many bytes were sent."""
    transport = transport_of(scope)
    sent = b""
    if how == "garbage":
        sent = _GARBAGE
    elif how == "garbage_after_head":
        sent = _HEAD + _GARBAGE
    if how == "reset":
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    else:
        transport.write(sent)
        transport.close()
    return len(sent)
