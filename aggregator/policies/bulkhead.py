"""A bulkhead for one backend: so many calls at once and no more, the rest refused without waiting.

A backend that answers late, but within its deadline, never opens a breaker; what it holds is rate times
latency (Little's law), of sockets, memory and, in other designs, threads that all backends share. The
bulkhead keeps its share bounded. There is no queue: who waits here would wait out of the deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CALLS_MAX: Final = 128


class BulkheadFull(Exception):
    """As many calls as allowed are waiting for this backend."""


def at_most(limit: int, call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """`call`, refused with BulkheadFull while `limit` of it are under way."""
    under_way = 0

    async def admitted(*args: P.args, **kwargs: P.kwargs) -> T:
        nonlocal under_way
        if under_way >= limit:
            raise BulkheadFull(f"{limit} calls are waiting for it already")
        under_way += 1
        try:
            return await call(*args, **kwargs)
        finally:
            under_way -= 1

    return admitted
