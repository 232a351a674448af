"""A limit on calls worked on at once, with a queue in order of arrival. It bounds the queue too and reads no clock."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

QUEUE_MAX: Final = 10_000
"""Callers give up long before; beyond this the newest is refused."""


class QueueFull(Exception):
    """The queue takes nobody any more."""


class ConcurrencyLimit:
    """`enter` gives None where there is room, else a future that is done when it is one's turn.

    Whoever entered, or whose future is done, calls `leave` once; whoever waits no more, `withdraw`.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._queue: deque[asyncio.Future[None]] = deque()
        self._opened = False

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def enter(self) -> asyncio.Future[None] | None:
        """Raises Full."""
        if self._opened or self._free > 0:
            self._free -= 1
            return None
        if len(self._queue) >= QUEUE_MAX:
            raise QueueFull
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        return turn

    def leave(self) -> None:
        self._free += 1
        if self._queue and self._free > 0:
            self._free -= 1
            self._queue.popleft().set_result(None)

    def withdraw(self, turn: asyncio.Future[None]) -> None:
        """Give the place in the queue up; a turn that has come meanwhile is passed on."""
        if turn.done():
            self.leave()
        else:
            self._queue.remove(turn)

    def open(self) -> None:
        """Let everybody in, now and from now on."""
        self._opened = True
        while self._queue:
            self._free -= 1
            self._queue.popleft().set_result(None)
