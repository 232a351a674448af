"""All calls at once: the answer takes as long as the slowest backend, no longer the sum of them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def all_at_once(calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """The calls' results in their order. A call that fails must return its failure, not raise it:
    an exception ends all the others, and one failure is to stay one failure.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call()) for call in calls]
    return [task.result() for task in tasks]
