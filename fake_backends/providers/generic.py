"""The generic shape: `GET /offers?cursor=` answers `{"offers": […], "next_cursor": … or null}`.

The cursor is the offset of the page's first row; the first page goes without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from fake_backends.catalog import Offer
from fake_backends.providers.answer import Response, Wire, cursor_of

PATH: Final = "/offers"
_NOT_FOUND: Final = Response.of_error(404, f"the generic provider has GET {PATH} only")
_NOT_ALLOWED: Final = Response.of_error(405, f"{PATH} takes GET only")
_EMPTY: Final = Response.of_json(200, b'{"offers":[],"next_cursor":null}')
_BAD_CURSOR: Final = Response.of_error(400, "this cursor is none that a page gave out")


class Generic:
    name: Final = "generic"
    speaks: Final = f"GET {PATH}?cursor="

    def compile(self, rows: Sequence[Offer], page: int) -> Wire:
        return _Pages(rows, page or len(rows) or 1)


class _Pages:
    reads_body: Final = False

    def __init__(self, rows: Sequence[Offer], page: int) -> None:
        self._by_cursor: dict[str, Response] = {}
        for start in range(0, len(rows) or 1, page):
            following = start + page
            body = {
                "offers": rows[start:following],
                "next_cursor": str(following) if following < len(rows) else None,
            }
            self._by_cursor[str(start) if start else ""] = Response.of_json(200, orjson.dumps(body))

    def first(self) -> Response:
        return self._by_cursor[""]

    def empty(self) -> Response:
        return _EMPTY

    def answer(self, method: str, path: str, query: bytes, body: bytes = b"") -> Response:
        if path != PATH:
            return _NOT_FOUND
        if method != "GET":
            return _NOT_ALLOWED
        if not query:
            return self.first()
        return self._by_cursor.get(cursor_of(query), _BAD_CURSOR)
