"""Filters pushed down: a request that names backends is answered by these, the others are left alone.

Without it the answer is the same, but every request waits for every backend, and one that is broken
slows down even those who never asked for it.
"""

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar


class Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def only_named(backends: Sequence[N], names: Collection[str]) -> Sequence[N]:
    """The backends in `names`; all of them where a request names none."""
    return [backend for backend in backends if backend.name in names] if names else backends


def everyone(backends: Sequence[N], names: Collection[str]) -> Sequence[N]:
    """What happens without the policy."""
    return backends
