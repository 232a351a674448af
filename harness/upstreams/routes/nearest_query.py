"""Which recorded query is most like the one that was sent. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

Query = tuple[tuple[str, str], ...]


def nearest_query(sent: Sequence[tuple[str, str]], recorded: Sequence[Query]) -> Query:
    """The recorded query that shares the most pairs with `sent`; among those the one with the most names in common and
    the fewest pairs beyond it, then the earliest. `recorded` is not empty."""
    return max(recorded, key=lambda query: _likeness(sent, query))


def _likeness(sent: Sequence[tuple[str, str]], query: Query) -> tuple[int, int, int]:
    pairs = (Counter(sent) & Counter(query)).total()
    names = (Counter(name for name, _ in sent) & Counter(name for name, _ in query)).total()
    return pairs, names, -abs(len(sent) - len(query))
