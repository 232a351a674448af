"""Pages of an answer: what comes after a cursor, and the cursor of the page that follows. Pure.

Offers are in order of price; at equal prices by backend, then as the backend sent them. A cursor says
where in this order a page ended, so nothing is kept between two pages: each is computed anew, from what
the backends say by then. An offer that stays where it is comes once. One that got cheaper than where
the first page ended, or whose backend was missing then, is not seen by going on.

A cursor is bound to the filters it was made with, and to nothing else: `limit` may change.
"""

from __future__ import annotations

import binascii
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson

Offer = dict[str, Any]

CURSOR_LENGTH_MAX: Final = 512


class BadCursor(Exception):
    """The message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A page ended with the offer at `price` of `backend` that was the `nth` (from 1) of its equals there."""

    price: float
    backend: str
    nth: int


def encoded(cursor: Cursor, filters: bytes) -> str:
    """`filters`: anything that two questions share if and only if they filter alike."""
    document = orjson.dumps([_digest(filters), cursor.price, cursor.backend, cursor.nth])
    return urlsafe_b64encode(document).rstrip(b"=").decode()


def decoded(text: str, filters: bytes) -> Cursor:
    """Raises BadCursor."""
    match _document(text):
        case [str() as digest, float() | int() as price, str() as backend, int() as nth] if (
            type(price) is not bool and math.isfinite(price) and type(nth) is int and nth > 0
        ):
            if digest != _digest(filters):
                raise BadCursor("belongs to a question with other filters; repeat those it came with")
            return Cursor(price, backend, nth)
    raise BadCursor("is none that was given out; take `next_cursor` of a page as it is")


def _document(text: str) -> object:
    if not text.isascii() or len(text) > CURSOR_LENGTH_MAX:
        return None
    try:
        return orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, orjson.JSONDecodeError):
        return None


def _digest(filters: bytes) -> str:
    return blake2b(filters, digest_size=6).hexdigest()


def _price(offer: Offer) -> float:
    price: float = offer["price"]
    return price


def rest_of(backend: str, offers: Sequence[Offer], after: Cursor | None) -> Sequence[Offer]:
    """What of one backend's offers, in order of price, comes after the cursor."""
    if after is None:
        return offers
    if backend < after.backend:
        return offers[bisect_right(offers, after.price, key=_price) :]
    first = bisect_left(offers, after.price, key=_price)
    if backend > after.backend:
        return offers[first:]
    return offers[min(first + after.nth, bisect_right(offers, after.price, key=_price)) :]


def page_of(
    offers: Mapping[str, Sequence[Offer]], limit: int | None, after: Cursor | None
) -> tuple[list[Offer], Cursor | None]:
    """The page, and where it ended if anything follows.

    `offers` of each backend are `rest_of` it, in order of price; more than limit + 1 of them change nothing.
    """
    in_order = [(backend, offers[backend]) for backend in sorted(offers)]
    merged = sorted((offer for _, rows in in_order for offer in rows), key=_price)  # stable: equals stay in order
    if limit is None or len(merged) <= limit:
        return merged, None
    page = merged[:limit]
    price = _price(page[-1])
    left = limit - bisect_left(page, price, key=_price)  # so many of the page have the last one's price
    for backend, rows in in_order:
        equals = bisect_right(rows, price, key=_price) - bisect_left(rows, price, key=_price)
        if equals >= left:
            before = after.nth if after and (after.price, after.backend) == (price, backend) else 0
            return page, Cursor(price, backend, before + left)
        left -= equals
    raise AssertionError("the page's last offer belongs to no backend")
