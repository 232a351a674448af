"""A backend's answer, page by page: what each page must look like, and when the answer is whole. Pure.

It is the same whoever does the talking (`aggregator.backend`, `aggregator.blocking_backend`), and
what cannot be used of it leaves as a BackendError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from aggregator.query import Offer

PAGES_MAX: Final = 1000


class BackendError(Exception):
    """A backend gave no usable answer. `reason` is short and stable: `connection`, `http_503`,
    `bad_answer`, `too_many_pages`, `pool_timeout`; the message tells a person more.
    """

    def __init__(self, reason: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.retry_after_s = retry_after_s
        """As the backend said; None where it did not."""

    @property
    def is_passing(self) -> bool:
        """Whether asked again it may answer: it was not reached, is too busy, or failed by itself."""
        return self.reason in ("connection", "http_429") or self.reason.startswith("http_5")


class Pages:
    """`add` each page as it comes, ask for the one at `cursor` (None: the first) until it is `whole`."""

    def __init__(self) -> None:
        self.offers: list[Offer] = []
        self.cursor: str | None = None
        self._count = 0

    @property
    def whole(self) -> bool:
        return self._count > 0 and self.cursor is None

    def add(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """`headers` in lower case, or indifferent to it. Raises BackendError for a page that cannot be used, and
        for one too many.
        """
        if status != 200:
            wait = headers.get("retry-after", "")
            # the other form, a date, is rare and would take both clocks to agree
            raise BackendError(f"http_{status}", f"answered {status}", float(wait) if wait.isdecimal() else None)
        offers, self.cursor = _parse(body)
        self.offers += offers
        self._count += 1
        if self.cursor is not None and self._count == PAGES_MAX:
            raise BackendError("too_many_pages", f"still not at the end after {PAGES_MAX} pages")


def _parse(body: bytes) -> tuple[list[Offer], str | None]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BackendError("bad_answer", f"not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("offers"), list):
        raise BackendError("bad_answer", "no list of offers in it")
    cursor = document.get("next_cursor")
    if not (cursor is None or isinstance(cursor, str)):
        raise BackendError("bad_answer", "next_cursor is neither text nor null")
    offers: list[Offer] = document["offers"]
    for offer in offers:
        if type(offer) is not dict or type(offer.get("price")) not in (float, int):
            raise BackendError("bad_answer", "an offer without a price")
    return offers, cursor
