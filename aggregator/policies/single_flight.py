"""Single flight: identical requests at the same time share one piece of work and its answer.

Many clients with the same question (a dashboard, a retry storm) then cost one piece of work per 50 ms. Requests join
only work that began within `JOIN_WITHIN_S`: older work may be waiting for a slow backend, and would pass its wait on to
them. A client that leaves does not end the work for the others; it is cancelled when the last one has left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

JOIN_WITHIN_S: Final = 0.05
"""Far below what a healthy backend takes, so a request that joins gets an answer that is hardly older than its own."""


class SingleFlight(Generic[T]):
    """Shares the work of requests with the same key. Callers must not change a result; an error is shared as well."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def do(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns or raises. It is started unless work for this key began less than JOIN_WITHIN_S ago."""
        flight = self._flights.get(key)
        if flight is None or self._clock() - flight.began_s > JOIN_WITHIN_S:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(work()), self._clock())
            flight.task.add_done_callback(partial(self._forget, key, flight))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                flight.task.cancel()
                self._forget(key, flight)  # at once: no request may join work that is being cancelled

    def _forget(self, key: Hashable, flight: _Flight[T], _task: object = None) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


class _Flight(Generic[T]):
    def __init__(self, task: asyncio.Future[T], began_s: float) -> None:
        self.task = task
        self.began_s = began_s
        self.waiters = 0
