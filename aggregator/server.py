"""uvicorn's server, which ends as soon as its last request has.

uvicorn itself looks ten times a second whether a signal came, and then lets a tenth of a second pass in any case.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from types import FrameType
from typing import Final

import uvicorn

_TICK_S: Final = 1.0
_TICK: Final = 10
"""uvicorn renews the `Date` header when its counter of tenths of a second can be divided by this."""


class Server(uvicorn.Server):
    """`timeout_graceful_shutdown` of its configuration is how long requests under way may take; then they are
    cancelled, and still answer. To be made in a running event loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop = asyncio.get_running_loop()
        self._signalled = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._signalled.set)

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter += _TICK
            with suppress(TimeoutError):
                await asyncio.wait_for(self._signalled.wait(), _TICK_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for sock in sockets or ():
            sock.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            _, late = await asyncio.wait(self.server_state.tasks, timeout=self.config.timeout_graceful_shutdown)
            for task in late:
                task.cancel()
