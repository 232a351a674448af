"""The exchanges over HTTP of a HAR recording, one after the other, with every value of the type that it should have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from harness.upstreams.routes.har.entries import entries_of

LATENCY_MOST_MS: Final = 24 * 3_600_000.0
URL_MOST: Final = 65_536
"""Characters."""
_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_LOCAL: Final = re.compile(r"(?!https?:|wss?:)([a-z][a-z0-9+.-]{0,40}://|(data|blob|about):)", re.I)
_HOST: Final = re.compile(r"[\w.-]{1,253}|\[[0-9a-f:.]{2,45}\]")
_METHOD: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}")


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """One request and its answer. `host`: in lower case, with its port unless that is the scheme's own.

    `path` and `query` are as sent, percent-encoded. `status` is 0 if there was no answer. `text`: the body, None if it
    was not recorded; `size_bytes`: how long the decoded body is said to be, None if that is not said. `media_type`: the
    answer's Content-Type, or what the recording says where it has none.
    """

    host: str
    method: str
    path: str
    query: str
    status: int
    headers: tuple[tuple[str, str], ...]
    media_type: str
    text: str | None
    is_base64: bool
    size_bytes: int | None
    is_body_elsewhere: bool
    """Whether the body lies in a file beside the recording, as Playwright writes it."""
    latency_ms: float | None
    """Time to the first byte and from there to the last; None if neither is known or the answer came from a cache."""


def exchanges_of(path: Path) -> Iterator[RecordedExchange | None]:
    """Every exchange over HTTP in recorded order; None for an entry that is none. Raises UnreadableRoutes."""
    for entry in entries_of(path):
        if not _is_local(entry):
            yield _exchange(entry)


def _is_local(entry: Any) -> bool:
    """Whether its URL never left the browser, so that nobody answered it."""
    return _LOCAL.match(_text(_object(_object(entry).get("request")).get("url"))) is not None


def _exchange(entry: Any) -> RecordedExchange | None:
    request, response = _object(_object(entry).get("request")), _object(_object(entry).get("response"))
    content = _object(response.get("content"))
    method, status = _text(request.get("method")), _whole(response.get("status"))
    url = _text(request.get("url"))
    where = _location(f"https://{url}" if method == "CONNECT" and "://" not in url else url)
    if where is None or status is None or not _METHOD.fullmatch(method):
        return None
    headers = tuple(_headers(response.get("headers")))
    types = [value for name, value in headers if name.lower() == "content-type"]
    text = content.get("text")
    sizes = (_whole(content.get("size")), _whole(response.get("bodySize")))
    return RecordedExchange(
        *(where[0], method, where[1], where[2], status),
        headers=headers,
        media_type=types[0] if types else _text(content.get("mimeType")),
        text=text if isinstance(text, str) else None,
        is_base64=_text(content.get("encoding")).lower() == "base64",
        size_bytes=next((size for size in sizes if size is not None and size >= 0), None),
        is_body_elsewhere=bool(_text(content.get("_file"))),
        latency_ms=None if _object(entry).get("_fromCache") else _latency_ms(_object(_object(entry).get("timings"))),
    )


def _location(url: str) -> tuple[str, str, str] | None:
    """Host, path and query of a URL; None if it is none."""
    if len(url) > URL_MOST:
        return None
    url = url.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return None
    host = f"[{host}]" if ":" in host else host
    if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host):
        return None
    is_default = port is None or port == _DEFAULT_PORTS[parts.scheme]
    return host if is_default else f"{host}:{port}", parts.path or "/", parts.query


def _headers(given: Any) -> Iterator[tuple[str, str]]:
    for each in given if isinstance(given, list) else ():
        name, value = _object(each).get("name"), _object(each).get("value")
        if isinstance(name, str) and isinstance(value, str):
            yield name, value


def _latency_ms(timings: dict[str, Any]) -> float | None:
    known = [time for time in map(_milliseconds, (timings.get("wait"), timings.get("receive"))) if time is not None]
    return sum(known) if known and sum(known) <= LATENCY_MOST_MS else None


def _milliseconds(value: Any) -> float | None:
    """None for what is no time: -1, which HAR writes where a time does not apply, and more than a day."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= LATENCY_MOST_MS else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Any) -> int | None:
    """An integer; some tools write sizes and even statuses as 200.0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value < 10**15:
        return None
    return int(value)
