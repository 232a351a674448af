"""A request as libcurl is given it: a quoted URL, header lines, a body; and where a redirect leads it.

Everything is as Locust's FastHttpUser would send it, so that a scenario means the same with either client.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from geventhttpclient.url import requote_uri

from scenarios.drive.curl.decoding import ACCEPTED
from scenarios.drive.planned_requests import Outgoing

HOPS_MOST: Final = 30
"""Redirects of one request, as in FastHttpUser."""
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_KEEPS_METHOD: Final = frozenset((307, 308))
_WITH_LENGTH: Final = frozenset(("POST", "PUT", "PATCH"))
"""Methods whose missing body is announced as an empty one."""
_NOT_IDEMPOTENT: Final = frozenset(("POST", "PATCH"))
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NOT_OURS: Final = ("Accept:", "Expect:")
"""Headers that libcurl would add."""
_OF_THE_BODY: Final = frozenset(("content-length", "content-type", "content-encoding"))


@dataclass(frozen=True, slots=True)
class Wire:
    method: str
    url: str
    lines: tuple[bytes, ...]
    body: bytes | None
    """None: there is none, and no length is sent."""

    @property
    def is_idempotent(self) -> bool:
        return self.method not in _NOT_IDEMPOTENT


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go. `authorization`: of the credentials in its URL."""

    base: str
    """Scheme, host and port."""
    authorization: str | None = None

    @classmethod
    def of(cls, url: str) -> Target:
        parts = urlsplit(url)
        if not (parts.username and parts.password):
            return cls(url)
        pair = f"{unquote(parts.username)}:{unquote(parts.password)}".encode("latin-1")
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        return cls(bare.geturl(), f"Basic {b64encode(pair).decode()}")


def wire_of(request: Outgoing, target: Target) -> Wire:
    """Raises ValueError for a header or a method that cannot be sent."""
    headers = list(request.headers)
    names = {name.lower() for name, _ in headers}
    if target.authorization is not None and "authorization" not in names:
        headers.append(("Authorization", target.authorization))
    body = None
    method = request.method.upper()
    if "accept-encoding" not in names:
        headers.append(("Accept-Encoding", ACCEPTED))
    if request.body:
        body = request.body.encode()
        if "content-type" not in names:
            headers.append(("Content-Type", "text/plain; charset=utf-8"))
    elif method in _WITH_LENGTH:
        body = b""
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"invalid HTTP method {method!r}")
    return Wire(method, requote_uri(f"{target.base}{request.path}".partition("#")[0]), _lines(headers, body), body)


def redirected(wire: Wire, status: int, url: str, first: Wire) -> Wire:
    """The request that follows an answer of `status` whose Location leads to `url`. `first`: the one before all
    redirects. Raises ValueError if the URL is not one of HTTP."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"a redirect to {url!r} is not followed")
    dropped = {"cookie", "cookie2"}
    method, body = wire.method, wire.body
    if status not in _KEEPS_METHOD:
        dropped |= _OF_THE_BODY
        method, body = "HEAD" if method == "HEAD" else "GET", None
    if _origin(url) != _origin(first.url):
        dropped.add("authorization")
    lines = tuple(line for line in wire.lines if _name(line) not in dropped)
    return Wire(method, requote_uri(url.partition("#")[0]), lines, body)


def host_of(url: str) -> str:
    return urlsplit(url).hostname or ""


def _lines(headers: Iterable[tuple[str, str]], body: bytes | None) -> tuple[bytes, ...]:
    lines = [*_NOT_OURS]
    if body is not None and not any(name.lower() == "content-type" for name, _ in headers):
        lines.append("Content-Type:")
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"invalid header field name {name!r}")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"header {name!r} has a value that cannot be sent")
        lines.append(f"{name}: {value}" if value.strip() else f"{name};")
    return tuple(line.encode("latin-1") for line in lines)


def _name(line: bytes) -> str:
    """In lower case; "" for a line that only keeps libcurl from adding a header."""
    name, _, value = line.partition(b":")
    return name.decode("latin-1").lower() if value else ""


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
