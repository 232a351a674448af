"""A recorded exchange as the answer of a route: what a fake can send again, without credentials. Pure.

Left out are headers that belong to the recorded connection or to how the body was sent there, and links that would lead
the service past its fake.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from harness.http1 import is_header_name
from harness.rundir.planned.routes import BODILESS, PlannedAnswer, decoded_segment
from harness.secrets.syntax import HEADER_VALUE
from harness.upstreams.routes.har.exchanges import RecordedExchange
from harness.upstreams.routes.har.secrets import (
    UnreadableJson,
    json_without_secrets,
    pairs_without_secrets,
    urls_without_secrets,
)
from harness.upstreams.routes.templates import escaped

BODY_BYTES_MOST: Final = 5_000_000
QUERY_PAIRS_MOST: Final = 1_000
HEADER_MOST: Final = 8_192
"""Characters of one header's value."""
LeftOut = Literal["no_body", "large_body", "bad_body", "bad_query"]

_CONNECTION: Final = frozenset(("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"))
"""Fields for one connection only (RFC 9110, section 7.6.1; RFC 9112); `proxy-…` and what Connection names are too."""
_NOT_REPLAYED: Final = frozenset(("content-encoding", "content-length", "set-cookie", "set-cookie2", "date", "alt-svc"))
"""Alt-Svc names another address, at which the service would find the real upstream."""
_LINKS: Final = (b"//", rb"\/\/")
"""How a link to a host begins, also in JSON that escapes slashes."""
_HEADER_VALUE: Final = re.compile(HEADER_VALUE)
_FORM: Final = "application/x-www-form-urlencoded"
_CHARSET: Final = re.compile(r"(;\s{0,8}charset\s{0,8}=\s{0,8})(\"[^\"]{0,80}\"|[^;\s]{0,80})", re.I)
_PATH_PARAMETER: Final = re.compile(r";([^;=]{1,100})=[^;]*")


class ExchangeLeftOut(Exception):
    """The exchange cannot be an answer; `reason` says why."""

    def __init__(self, reason: LeftOut) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Seen:
    """What was noticed while answers were made. `secrets`: names whose values were taken out."""

    secrets: set[str] = field(default_factory=set)
    unsendable_headers: int = 0
    linking_answers: int = 0
    """Answers with a link to the recorded host in their bodies."""


def answer_of(exchange: RecordedExchange, seen: Seen) -> PlannedAnswer:
    """The recorded answer. Raises ExchangeLeftOut."""
    body, is_unicode = _body(exchange, seen)
    headers = tuple(_headers(exchange, seen, is_unicode=is_unicode))
    host = exchange.host.encode()
    seen.linking_answers += any(start + host in body for start in _LINKS)
    query = _query(exchange.query, seen)
    return PlannedAnswer(status=exchange.status, headers=headers, data=body or None, query=query)


def path_of(raw: str, seen: Seen) -> str:
    """A route's path for a recorded one, without `;jsessionid=…`."""
    return "/".join(_segment(segment, seen) for segment in raw.split("/"))


def _segment(raw: str, seen: Seen) -> str:
    def parameter(match: re.Match[str]) -> str:
        return "" if pairs_without_secrets([(unquote(match[1]), "")], seen.secrets) == () else match[0]

    kept = _PATH_PARAMETER.sub(parameter, raw) if ";" in raw else raw
    return escaped(decoded_segment(kept))


def _query(raw: str, seen: Seen) -> tuple[tuple[str, str], ...]:
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=QUERY_PAIRS_MOST)
    except ValueError:
        raise ExchangeLeftOut("bad_query") from None
    # the value of a parameter may be a URL with a query of its own, such as where to go after a login
    kept = pairs_without_secrets(pairs, seen.secrets)
    return tuple((name, urls_without_secrets(value, seen.secrets)) for name, value in kept)


# ---------------------------------------------------------------- body


def _body(exchange: RecordedExchange, seen: Seen) -> tuple[bytes, bool]:
    """The body, and whether it was made from text and therefore is UTF-8 whatever its recorded charset."""
    if exchange.method == "HEAD" or exchange.status in BODILESS:
        return b"", False
    if not exchange.text:
        if exchange.is_body_elsewhere or _size(exchange):
            raise ExchangeLeftOut("no_body")
        return b"", False
    if not exchange.is_base64:
        return _encoded(_cleaned(exchange.text, exchange, seen)), True
    data = _decoded(exchange.text)
    text = _searchable(data, exchange)
    cleaned = text if text is None else _cleaned(text, exchange, seen)
    return (data, False) if cleaned is None or cleaned == text else (_encoded(cleaned), True)


def _cleaned(text: str, exchange: RecordedExchange, seen: Seen) -> str:
    """The body without secrets, as far as its format says which those are."""
    if len(text) > BODY_BYTES_MOST:
        raise ExchangeLeftOut("large_body")
    if exchange.media_type.lower().startswith(_FORM):
        return urls_without_secrets(f"?{text}", seen.secrets)[1:]
    try:
        return json_without_secrets(text, seen.secrets)
    except UnreadableJson:
        raise ExchangeLeftOut("bad_body") from None


def _encoded(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if len(data) > BODY_BYTES_MOST:
        raise ExchangeLeftOut("large_body")
    return data


def _size(exchange: RecordedExchange) -> int:
    """How long the body was, as far as that is said anywhere."""
    if exchange.size_bytes is not None:
        return exchange.size_bytes
    lengths = [value for name, value in exchange.headers if name.lower() == "content-length"]
    return 1 if lengths and lengths[0].strip("0 ") else 0


def _decoded(text: str) -> bytes:
    if len(text) > 2 * BODY_BYTES_MOST:
        raise ExchangeLeftOut("large_body")
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ExchangeLeftOut("bad_body") from None
    if len(data) > BODY_BYTES_MOST:
        raise ExchangeLeftOut("large_body")
    return data


def _searchable(data: bytes, exchange: RecordedExchange) -> str | None:
    """The text of a decoded body if it is JSON or a form; None for every other, which stays byte for byte."""
    media_type = exchange.media_type.lower()
    is_named = "json" in media_type or media_type.startswith(_FORM)
    if not is_named and data.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")[:1] not in (b"{", b"["):
        return None
    charset = _CHARSET.search(exchange.media_type)
    try:
        return data.decode(charset[2].strip('"') if charset else _json_encoding(data))
    except (LookupError, ValueError):
        if is_named:  # it cannot be searched for secrets
            raise ExchangeLeftOut("bad_body") from None
        return None


def _json_encoding(data: bytes) -> str:
    """JSON is UTF-8, and older JSON perhaps UTF-16, which begins with a mark or has every other byte zero."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if b"\0" in data[:2]:
        return "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    return "utf-8-sig"


# ---------------------------------------------------------------- headers


def _headers(exchange: RecordedExchange, seen: Seen, *, is_unicode: bool) -> Iterator[tuple[str, str]]:
    dropped = _CONNECTION | _NOT_REPLAYED | set(_named_by_connection(exchange.headers))
    lines = [line for line in _lines(exchange.headers) if not line[0].lower().startswith(("proxy-", ":"))]
    lines = [line for line in lines if line[0].lower() not in dropped]
    if "/" in exchange.media_type and not any(name.lower() == "content-type" for name, _ in lines):
        lines.append(("Content-Type", exchange.media_type))
    for name, recorded in pairs_without_secrets(lines, seen.secrets):
        value = urls_without_secrets(_adapted(name.lower(), recorded, exchange, is_unicode=is_unicode), seen.secrets)
        if is_header_name(name) and len(value) <= HEADER_MOST and _HEADER_VALUE.fullmatch(value):
            yield name, escaped(value)
        else:
            seen.unsendable_headers += 1


def _adapted(name: str, value: str, exchange: RecordedExchange, *, is_unicode: bool) -> str:
    """A header's value as it is true of the fake's answer."""
    if name in ("location", "content-location"):
        return _relative(value, exchange.host)
    if name == "content-type" and is_unicode:
        return _CHARSET.sub(lambda match: f"{match[1]}utf-8", value)
    return value


def _lines(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Browsers write a header that came several times as one, with line breaks between the values."""
    for name, value in headers:
        for line in value.split("\n"):
            yield name.strip(), line.strip()


def _named_by_connection(headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in headers:
        if name.lower() == "connection":
            yield from (each.strip().lower() for each in value.split(","))


def _relative(link: str, host: str) -> str:
    """A link to the recorded host without scheme and host, so that it leads to the fake."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return link
    name, _, port = parts.netloc.rpartition("@")[2].lower().partition(":")
    if not name or host not in (name, f"{name}:{port}") or (host == name and port not in ("", "80", "443")):
        return link
    return parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()
