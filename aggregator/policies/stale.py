"""Last known offers: where a backend gives no answer, those of its last answer replace them, marked with their age.

Where prices change by the hour, old offers are better than none, as long as no client takes them for new ones. So the
answer gives their age, and after `KEPT_S` they are dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

KEPT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """`age_s`: how long ago the backend was asked."""

    items: Sequence[T]
    age_s: float


class LastKnown(Generic[T]):
    """The latest whole answer of each backend, and no more: memory is bounded by the backends' catalogs."""

    def __init__(self, kept_s: float = KEPT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept_s = kept_s
        self._clock = clock
        self._known: dict[str, tuple[float, Sequence[T]]] = {}

    def learning(
        self, backend: str, call: Callable[P, Coroutine[Any, Any, Sequence[T]]]
    ) -> Callable[P, Coroutine[Any, Any, Sequence[T]]]:
        """`call`; what it returns is kept as the backend's latest, unless one that was made later has returned.

        To stand around the call itself, inside of a breaker: what a probe brings home is as good as any.
        """

        async def remembered(*args: P.args, **kwargs: P.kwargs) -> Sequence[T]:
            asked_s = self._clock()
            items = await call(*args, **kwargs)
            if asked_s >= self._known.get(backend, (asked_s,))[0]:
                self._known[backend] = asked_s, items
            return items

        return remembered

    def recall(self, backend: str) -> Known[T] | None:
        """None: it never answered, or too long ago."""
        asked_s, items = self._known.get(backend, (None, ()))
        if asked_s is None:
            return None
        age_s = self._clock() - asked_s
        if age_s > self._kept_s:
            del self._known[backend]
            return None
        return Known(items, age_s)
