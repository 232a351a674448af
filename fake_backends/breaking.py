"""Answers that are no answers: the connection is closed or reset in their place, or carries garbage."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fake_backends.response_writer import Message
from harness.rundir.planned.routes import BrokenAnswer

_TRANSPORT: Final = "tailgate.transport"
_GARBAGE: Final = bytes(range(128, 256)) * 4
"""No HTTP, and the same in every run."""
_HEAD: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class BreakableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, whose requests know the transport that they came by."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: self.transport}  # type: ignore[dict-item]


def break_connection(scope: Message, how: BrokenAnswer) -> int:
    """Break the connection of a request that has not been answered. Returns how many bytes were sent."""
    transport: asyncio.Transport = scope["extensions"][_TRANSPORT]
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
