"""The supervisor's two pipes: commands come in on stdin, events go out on stdout, one JSON line each.

Writing never blocks. If no one reads, events beyond `BUFFER_BYTES` are dropped and the run goes on: a verdict needs
only the run directory.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from pydantic import ValidationError

from harness.stack.commands import COMMAND, Command
from harness.stack.events import Event

BUFFER_BYTES: Final = 1 << 20
LINE_BYTES: Final = 1 << 20


class SupervisorChannel:
    def __init__(
        self, reader: asyncio.StreamReader, transport: asyncio.WriteTransport, closed: asyncio.Future[None]
    ) -> None:
        self._reader = reader
        self._transport = transport
        self._closed = closed

    @classmethod
    async def open(cls) -> SupervisorChannel:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(LINE_BYTES)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        closed: asyncio.Future[None] = loop.create_future()
        transport, _ = await loop.connect_write_pipe(lambda: _Writing(closed), sys.stdout)
        return cls(reader, transport, closed)

    async def order(self) -> Command | None:
        """The next command; None if tailgate has closed the pipe or sends a line that is no command."""
        try:
            line = await self._reader.readline()
            return COMMAND.validate_json(line) if line.strip() else None
        except (ValidationError, ValueError, OSError):
            return None

    def emit(self, event: Event) -> None:
        if not self._transport.is_closing() and self._transport.get_write_buffer_size() < BUFFER_BYTES:
            self._transport.write(event.model_dump_json().encode() + b"\n")

    async def close(self, within_s: float) -> None:
        """Return when the kernel has every event, or after `within_s`."""
        self._transport.close()
        await asyncio.wait([self._closed], timeout=within_s)


class _Writing(asyncio.BaseProtocol):
    def __init__(self, closed: asyncio.Future[None]) -> None:
        self._closed = closed

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)
