"""The generic shape: `GET /offers?cursor=` answers `{"offers": […], "next_cursor": … or null}`.

The cursor is the offset of the page's first row; the first page has none.
"""

from __future__ import annotations

from typing import ClassVar, Final

import orjson

from fake_backends.catalog import make_catalog
from fake_backends.providers.exchange import IncomingRequest, Response
from harness.rundir.planned.upstream import FakeSpec

PATH: Final = "/offers"
_NOT_FOUND: Final = Response.of_error(404, f"the generic provider has GET {PATH} only")
_NOT_ALLOWED: Final = Response.of_error(405, f"{PATH} takes GET only")
_EMPTY: Final = Response.of_json(200, b'{"offers":[],"next_cursor":null}')
_BAD_CURSOR: Final = Response.of_error(400, "this cursor is none that a page gave out")


class Generic:
    name: ClassVar = "generic"
    speaks: ClassVar = f"GET {PATH}?cursor="
    health: ClassVar = IncomingRequest("GET", PATH)
    empty: ClassVar = _EMPTY

    def __init__(self, upstream: str, spec: FakeSpec, seed: int) -> None:
        rows = make_catalog(seed, upstream, spec.rows)
        page = spec.page or len(rows) or 1
        self._by_cursor: dict[str, Response] = {}
        for start in range(0, len(rows) or 1, page):
            following = start + page
            body = {
                "offers": rows[start:following],
                "next_cursor": str(following) if following < len(rows) else None,
            }
            self._by_cursor[str(start) if start else ""] = Response.of_json(200, orjson.dumps(body))

    def respond(self, request: IncomingRequest) -> Response:
        if request.path != PATH:
            return _NOT_FOUND
        if request.method != "GET":
            return _NOT_ALLOWED
        return self._by_cursor.get(request.cursor if request.query else "", _BAD_CURSOR)
