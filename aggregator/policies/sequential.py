"""What happens without `parallel`: one call after the other. The story's bug, kept for comparison."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def one_by_one(calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """The calls' results in their order. Takes as long as all of them together."""
    return [await call() for call in calls]
