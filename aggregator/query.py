"""The question a client asks, parsed from the query string of `/v1/offers`. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from aggregator.paging import BadCursor, Cursor, decoded, rest_of

T = TypeVar("T")
Offer = dict[str, Any]
"""A backend's row. It passes through whole; `price`, `gpu_name`, `location` and `spot` are read."""

LIMIT_MAX: Final = 10_000
_WHOLE = re.compile(r"[0-9]{1,9}")
_DECIMAL = re.compile(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LISTS: Final = ("backend", "gpu", "region")
_SINGLE: Final = ("max_price", "spot", "limit", "cursor")
PARAMETERS: Final = _LISTS + _SINGLE


class BadQuery(Exception):
    """A parameter that cannot be used. `parameter` is its name, the message says what would do."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Query:
    """Empty sets and None mean: no such filter. GPU and region are in lower case."""

    backends: frozenset[str] = frozenset()
    gpus: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    max_price: float | None = None
    spot: bool | None = None
    limit: int | None = None
    after: Cursor | None = None

    def wants(self, backend: str) -> bool:
        return not self.backends or backend in self.backends

    @property
    def filters(self) -> bytes:
        """The same for two questions if and only if they filter alike."""
        lists = [sorted(self.backends), sorted(self.gpus), sorted(self.regions)]
        return repr((lists, self.max_price, self.spot)).encode()

    def select(self, backend: str, offers: Sequence[Offer]) -> Sequence[Offer]:
        """A backend's offers that pass every filter on rows and come after the cursor, cheapest first.

        One more than `limit` at most: whether there is another page is to be seen.
        """
        chosen = list(offers)
        for passes in self._filters():
            chosen = [offer for offer in chosen if passes(offer)]
        chosen.sort(key=lambda offer: offer["price"])
        rest = rest_of(backend, chosen, self.after)
        return rest if self.limit is None else rest[: self.limit + 1]

    def _filters(self) -> list[Callable[[Offer], bool]]:
        """Only the filters in use: most requests have none, and rows are many."""
        filters: list[Callable[[Offer], bool]] = []
        if self.gpus:
            filters.append(lambda offer: str(offer.get("gpu_name")).lower() in self.gpus)
        if self.regions:
            filters.append(lambda offer: str(offer.get("location")).lower() in self.regions)
        if self.max_price is not None:
            most = self.max_price
            filters.append(lambda offer: bool(offer["price"] <= most))
        if self.spot is not None:
            filters.append(lambda offer: offer.get("spot") is self.spot)
        return filters


def parse_query(query_string: bytes, known_backends: Collection[str]) -> Query:
    """Lists may be repeated or comma-separated: `gpu=A100&gpu=H100`, `gpu=A100,H100`.

    Raises BadQuery. An unknown parameter or backend is an error: a misspelt filter that was
    ignored would answer another question.
    """
    given = _by_name(query_string)
    backends = _items(given, "backend")
    unknown = sorted(backends - set(known_backends))
    if unknown:
        raise BadQuery("backend", f"unknown: {', '.join(unknown)}; known: {', '.join(known_backends)}")
    query = Query(
        backends=backends,
        gpus=frozenset(gpu.lower() for gpu in _items(given, "gpu")),
        regions=frozenset(region.lower() for region in _items(given, "region")),
        max_price=_one(given, "max_price", _price, "a price of zero or more, such as 2.5"),
        spot=_one(given, "spot", {"true": True, "false": False}.__getitem__, "true or false"),
        limit=_one(given, "limit", _limit, f"a whole number from 1 to {LIMIT_MAX}"),
    )
    cursor = _one(given, "cursor", str, "a text")
    if cursor is None:
        return query
    try:
        return replace(query, after=decoded(cursor, query.filters))
    except BadCursor as error:
        raise BadQuery("cursor", str(error)) from error


def _by_name(query_string: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise BadQuery("", "too many parameters") from error
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in PARAMETERS:
            raise BadQuery(name[:64], f"no such parameter; known: {', '.join(PARAMETERS)}")
        given.setdefault(name, []).append(value)
    return given


def _items(given: dict[str, list[str]], name: str) -> frozenset[str]:
    items = frozenset(item.strip() for value in given.get(name, ()) for item in value.split(","))
    if "" in items:
        raise BadQuery(name, "must not be empty")
    return items


def _one(given: dict[str, list[str]], name: str, read: Callable[[str], T], wanted: str) -> T | None:
    values = given.get(name)
    if not values:
        return None
    if len(values) > 1:
        raise BadQuery(name, "may be given once only")
    try:
        return read(values[0])
    except (ValueError, KeyError) as error:
        raise BadQuery(name, f"must be {wanted}") from error


def _price(text: str) -> float:
    # float and int take more than anybody means by a number: 1_0, ５, " 5 "
    if not _DECIMAL.fullmatch(text) or math.isinf(price := float(text)):
        raise ValueError(text)
    return price


def _limit(text: str) -> int:
    if not (_WHOLE.fullmatch(text) and 1 <= int(text) <= LIMIT_MAX):
        raise ValueError(text)
    return int(text)
