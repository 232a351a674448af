"""A backend's answer, page by page: what each page must look like, and when the answer is whole. Pure.

It is the same whoever does the talking (`aggregator.backends.backend`,
`aggregator.backends.blocking_backend`). What cannot be used of it, or would take more memory than anybody's
offers are worth, leaves as a BackendError.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from aggregator.query import Offer

PAGES_MAX: Final = 1000
PAGE_BYTES_MAX: Final = 16 * 2**20
ANSWER_BYTES_MAX: Final = 64 * 2**20
"""Of all pages together; 200,000 offers of ordinary size."""
OFFERS_MAX: Final = 200_000
CURSOR_LENGTH_MAX: Final = 4096
"""As it goes into an address, and there each character may take twelve bytes."""
NESTING_MAX: Final = 32
"""Of lists and objects in an offer. orjson reads a depth of 1024 and writes 254: what came in must get out again."""
ASKED_WITH: Final = {"user-agent": "aggregator", "accept-encoding": "identity"}
"""Headers of each call. Not compressed: what a page takes in memory is then known before it is there."""


class PoolFull(Exception):
    """Our own pool had no connection free; the backend was never asked."""


class BackendError(Exception):
    """A backend gave no usable answer. `reason` is short and stable: `connection` (not reached, cut off, or
    what came is no HTTP), `read_timeout`, `http_503`, `bad_answer`, `too_large`, `too_many_pages`; the
    message tells a person more.
    """

    def __init__(self, reason: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.retry_after_s = retry_after_s
        """As the backend said; None where it did not, infinite where what it said cannot be understood."""

    @property
    def is_passing(self) -> bool:
        """Whether asked again it may answer: it was not reached, is too busy, or failed by itself."""
        return self.reason in ("connection", "http_429") or self.reason.startswith("http_5")


class Page:
    """One page as it comes: `take` each piece of its body. Raises BackendError as soon as it cannot be used.

    The body of a failure is read like any other, so that its connection can be used again.
    """

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        """`headers` in lower case, or indifferent to it."""
        self.body = bytearray()
        self._failure = _failure(status, headers)
        encoding = headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise self._failure or BackendError("bad_answer", f"encoded as {encoding[:40]}, which was not asked for")
        self._refuse_above_limit(_declared_length(headers))

    def take(self, piece: bytes) -> None:
        self.body += piece
        self._refuse_above_limit(len(self.body))

    def _refuse_above_limit(self, size: int) -> None:
        if size > PAGE_BYTES_MAX:
            raise self._failure or BackendError("too_large", f"a page of more than {PAGE_BYTES_MAX} bytes")

    def parsed(self) -> tuple[list[Offer], str | None]:
        """Its offers, and the cursor of the next."""
        if self._failure:
            raise self._failure
        return _parse(self.body)


class Pages:
    """`add` each page when it is there, ask for the one at `cursor` (None: the first) until it is `whole`."""

    def __init__(self) -> None:
        self.offers: list[Offer] = []
        self.cursor: str | None = None
        self._count = 0
        self._bytes = 0

    @property
    def whole(self) -> bool:
        return self._count > 0 and self.cursor is None

    def add(self, page: Page) -> None:
        """Raises BackendError for a page that cannot be used, and for one too many."""
        offers, self.cursor = page.parsed()
        self.offers += offers
        self._bytes += len(page.body)
        self._count += 1
        if len(self.offers) > OFFERS_MAX:
            raise BackendError("too_large", f"more than {OFFERS_MAX} offers")
        if self._bytes > ANSWER_BYTES_MAX:
            raise BackendError("too_large", f"more than {ANSWER_BYTES_MAX} bytes on {self._count} pages")
        if self.cursor is not None and self._count == PAGES_MAX:
            raise BackendError("too_many_pages", f"still not at the end after {PAGES_MAX} pages")


def _failure(status: int, headers: Mapping[str, str]) -> BackendError | None:
    if not 100 <= status <= 999:  # what some clients take for one
        return BackendError("connection", f"{status} is no status of HTTP")
    if status != 200:
        return BackendError(f"http_{status}", f"answered {status}", _retry_after_s(headers))
    return None


def _declared_length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "")
    return int(text[:20]) if text.isascii() and text.isdecimal() else 0


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds, or until a date by the backend's own clock: its `Date` says how late it is there."""
    text = headers.get("retry-after")
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        wait = _date(text) - _date(headers.get("date", ""))
    except ValueError:
        return math.inf
    return max(0.0, wait.total_seconds())


def _date(text: str) -> datetime:
    return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)


def _parse(body: bytearray) -> tuple[list[Offer], str | None]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BackendError("bad_answer", f"not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("offers"), list):
        raise BackendError("bad_answer", "no list of offers in it")
    cursor = document.get("next_cursor")
    if not (cursor is None or isinstance(cursor, str)):
        raise BackendError("bad_answer", "next_cursor is neither text nor null")
    if cursor is not None and len(cursor) > CURSOR_LENGTH_MAX:
        raise BackendError("bad_answer", f"next_cursor is longer than {CURSOR_LENGTH_MAX} characters")
    offers: list[Offer] = document["offers"]
    for offer in offers:
        if type(offer) is not dict or type(offer.get("price")) not in (float, int):
            raise BackendError("bad_answer", "an offer without a price")
    # counting brackets takes no time, and with one to an offer none of them has anything nested in it
    if body.count(b"{") + body.count(b"[") > len(offers) + 2:
        for offer in offers:
            _refuse_nested(offer)
    return offers, cursor


def _refuse_nested(offer: Offer) -> None:
    level: list[Any] = [offer]
    for _ in range(NESTING_MAX):
        values = (value for part in level for value in (part.values() if type(part) is dict else part))
        level = [value for value in values if type(value) in (dict, list)]
        if not level:
            return
    raise BackendError("bad_answer", f"an offer with more than {NESTING_MAX} levels in it")
