"""Last known offers: what a backend said before stands in for what it cannot say now, marked with its age.

Old offers are worth more than none where prices change by the hour, and worth less than none where
somebody takes them for new: so the answer says so, and beyond `KEPT_S` they are gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

KEPT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """`age_s`: how long ago the backend said so."""

    items: Sequence[T]
    age_s: float


class LastKnown(Generic[T]):
    """The latest whole answer of each backend, and no more: memory is bounded by the backends' catalogs."""

    def __init__(self, kept_s: float = KEPT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept_s = kept_s
        self._clock = clock
        self._known: dict[str, tuple[float, Sequence[T]]] = {}

    def learn(self, backend: str, items: Sequence[T]) -> None:
        self._known[backend] = self._clock(), items

    def recall(self, backend: str) -> Known[T] | None:
        """None: it never answered, or too long ago."""
        said_s, items = self._known.get(backend, (None, ()))
        if said_s is None:
            return None
        age_s = self._clock() - said_s
        if age_s > self._kept_s:
            del self._known[backend]
            return None
        return Known(items, age_s)
