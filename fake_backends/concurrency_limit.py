"""A limit on the calls that are worked on at once, with a bounded queue in order of arrival. It reads no clock."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

QUEUE_MAX: Final = 10_000
"""Clients give up long before the queue is this long. Beyond it the newest call is refused."""


class QueueFull(Exception):
    """The queue takes no more calls."""


class ConcurrencyLimit:
    """`enter` returns None if there is room, else a future that is done when it is the call's turn.

    A call that has entered, or whose future is done, must call `leave` once. A call that waits no longer must call
    `withdraw`.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._queue: deque[asyncio.Future[None]] = deque()
        self._opened = False

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def enter(self) -> asyncio.Future[None] | None:
        """Raises QueueFull."""
        if self._opened or self._free > 0:
            self._free -= 1
            return None
        if len(self._queue) >= QUEUE_MAX:
            raise QueueFull
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        return turn

    def leave(self) -> None:
        """Make room for the next call in the queue."""
        self._free += 1
        if self._queue and self._free > 0:
            self._free -= 1
            self._queue.popleft().set_result(None)

    def withdraw(self, turn: asyncio.Future[None]) -> None:
        """Give up the place in the queue. If the turn has come meanwhile, it goes to the next call."""
        if turn.done():
            self.leave()
        else:
            self._queue.remove(turn)

    def open(self) -> None:
        """Let every call in, now and from now on."""
        self._opened = True
        while self._queue:
            self._free -= 1
            self._queue.popleft().set_result(None)
