"""Single flight: of identical questions at the same time one is worked on, and all get its answer.

A crowd that asks the same (everybody's dashboard, a retry storm) then costs as much as one. Only a young
flight is boarded: one that has met a slow backend would hand its wait on to everybody who comes
meanwhile. Whoever leaves early leaves alone: the work ends when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

BOARDED_WITHIN_S: Final = 0.05


class SingleFlight(Generic[T]):
    """Results are shared, so nobody may change them. A failure is shared as well."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def do(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns or raises; only the first of those who ask with the same key starts it."""
        flight = self._flights.get(key)
        if flight is None or self._clock() - flight.began_s > BOARDED_WITHIN_S:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(work()), self._clock())
            flight.task.add_done_callback(partial(self._forget, key, flight))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                flight.task.cancel()
                self._forget(key, flight)  # at once: nobody must board a flight that is being called off

    def _forget(self, key: Hashable, flight: _Flight[T], _task: object = None) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


class _Flight(Generic[T]):
    def __init__(self, task: asyncio.Future[T], began_s: float) -> None:
        self.task = task
        self.began_s = began_s
        self.waiting = 0
