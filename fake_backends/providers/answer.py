"""What a provider's wire shape is made of: answers whose bytes exist before the first call comes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self
from urllib.parse import parse_qs

from fake_backends.catalog import Offer


@dataclass(frozen=True, slots=True)
class Response:
    """A whole HTTP answer. Made once and sent many times, so that a call costs microseconds."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    matched: bool = True
    """False: the call asked for what this wire shape does not have."""

    @classmethod
    def of_json(cls, status: int, body: bytes) -> Self:
        headers = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
        return cls(status, headers, body)

    @classmethod
    def of_error(cls, status: int, message: str) -> Self:
        """What is answered to a call that the shape does not have."""
        return replace(cls.of_json(status, json.dumps({"error": message}).encode()), matched=False)


def cursor_of(query: bytes) -> str:
    """The `cursor` of a query string; empty where there is none."""
    return parse_qs(query.decode("latin-1"), keep_blank_values=True).get("cursor", [""])[-1]


class Wire(Protocol):
    """One backend's catalog in its provider's shape: a pure function from a call to its answer."""

    @property
    def reads_body(self) -> bool:
        """Whether `answer` looks at the request's body; where not, nobody need collect it."""

    def first(self) -> Response:
        """The first page, which a canary gets as well."""

    def empty(self) -> Response:
        """A right answer of this shape that holds no offer: as if the catalog were empty."""

    def answer(self, method: str, path: str, query: bytes, body: bytes = b"") -> Response: ...


class Provider(Protocol):
    """A wire shape that real clients know: its paths, its paging, its field names."""

    @property
    def name(self) -> str: ...

    @property
    def speaks(self) -> str:
        """Its calls, for people: `GET /offers?cursor=`."""

    def compile(self, rows: Sequence[Offer], page: int) -> Wire:
        """Encode a catalog in pages of `page` rows; 0 puts all of them into one."""
