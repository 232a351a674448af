"""A database session that each request keeps from its beginning to its end, also while it waits for backends.

Sessions come from a pool that is sized for queries of some milliseconds. A request that waits for a hung backend keeps
its session as long. When all are taken, every request waits for one, and after `wait_s` fails with an error that names
neither the backend nor the wait. There is no database here, only the pool that runs out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NoSession(Exception):
    """Every session belongs to a request that waits."""


class Sessions:
    def __init__(self, size: int, wait_s: float) -> None:
        self._size = size
        self._wait_s = wait_s
        self._free = asyncio.Semaphore(size)

    @asynccontextmanager
    async def one(self, left_s: float | None = None) -> AsyncIterator[None]:
        """Held inside of the block; `left_s` is what the request may wait at most. Raises NoSession."""
        wait_s = self._wait_s if left_s is None else min(self._wait_s, left_s)
        try:
            async with asyncio.timeout(wait_s):
                await self._free.acquire()
        except TimeoutError as error:
            raise NoSession(
                f"no database session was free within {wait_s:g} s: "
                f"all {self._size} are held by requests that wait for backends"
            ) from error
        try:
            yield
        finally:
            self._free.release()
