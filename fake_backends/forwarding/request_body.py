"""The body of a request, read while the answer is awaited, so that a client that leaves is noticed at once."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from fake_backends.response_writer import Message, Receive

_PIECES_MOST: Final = 4
"""A piece has at most about 64 kB, by uvicorn's own flow control."""


class RequestBody:
    """`gone` is done once the client has left. What it sends is read no faster than `next` takes it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pieces: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self.is_read = False
        """Whether all of it was received."""
        self.gone: asyncio.Future[bool] = asyncio.ensure_future(self._read())

    async def next(self) -> bytes:
        """The next piece; empty at the end."""
        while not self._pieces and not self.is_read:
            self._changed.clear()
            await self._changed.wait()
        piece = self._pieces.popleft() if self._pieces else b""
        self._changed.set()
        return piece

    @property
    def is_taken(self) -> bool:
        """Whether all of it was received and taken."""
        return self.is_read and not self._pieces

    def close(self) -> None:
        self.gone.cancel()

    async def _read(self) -> bool:
        while (message := await self._receive())["type"] != "http.disconnect":
            self._take(message)
            while len(self._pieces) >= _PIECES_MOST:
                self._changed.clear()
                await self._changed.wait()
        return True

    def _take(self, message: Message) -> None:
        if message.get("body"):
            self._pieces.append(message["body"])
        self.is_read = self.is_read or not message.get("more_body")
        self._changed.set()
