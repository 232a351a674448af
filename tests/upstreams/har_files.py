"""HAR files for tests: entries as browsers and mitmproxy write them, and what is read of a file."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.planned.routes import PlannedAnswer, PlannedRoute
from harness.upstreams.routes.har import read_hosts
from harness.upstreams.routes.routes_read import RoutesRead, UnreadableRoutes

Entry = dict[str, Any]
URL = "https://api.example.com/v1/search?to=BER"


def read_har(path: Path, host: str) -> RoutesRead:
    """The routes of one host of a recording. Raises UnreadableRoutes."""
    found = read_hosts(path, (host,))[host]
    if isinstance(found, UnreadableRoutes):
        raise found
    return found


def pairs(given: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in given]


def entry(
    url: str = URL,
    text: str | None = '{"data": []}',
    *,
    method: str = "GET",
    status: int = 200,
    headers: Sequence[tuple[str, str]] = (("content-type", "application/json"),),
    wait: float = 40.0,
    receive: float = 2.5,
    **content: Any,
) -> Entry:
    """As Chrome writes it. `content`: members of the content object."""
    body = {"size": len(text or ""), "mimeType": "application/json"} | ({} if text is None else {"text": text})
    return {
        "_initiator": {"type": "script", "stack": {"callFrames": [{"url": "https://shop.example.com/app.js"}]}},
        "_priority": "High",
        "cache": {},
        "connection": "1413",
        "pageref": "page_1",
        "request": {
            "method": method,
            "url": url,
            "httpVersion": "http/2.0",
            "headers": pairs([(":authority", "api.example.com"), ("user-agent", "Mozilla/5.0")]),
            "queryString": pairs([("to", "BER")]),
            "cookies": [],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": status,
            "statusText": "",
            "httpVersion": "http/2.0",
            "headers": pairs(headers),
            "cookies": [],
            "content": body | content,
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "_transferSize": 812,
        },
        "serverIPAddress": "192.0.2.7",
        "startedDateTime": "2026-03-01T10:00:00.000Z",
        "time": 1042.7,
        "timings": {"blocked": 900.1, "dns": -1, "ssl": 70.0, "connect": 100.1, "send": 0.1}
        | {"wait": wait, "receive": receive},
    }


def mitmproxy_entry(url: str = URL, body: bytes = b"{}", media_type: str = "application/json", **more: Any) -> Entry:
    """As mitmproxy writes it: whole milliseconds, and base64 for what is no text."""
    try:
        content = {"text": body.decode()}
    except UnicodeDecodeError:
        content = {"text": base64.b64encode(body).decode(), "encoding": "base64"}
    return {
        "startedDateTime": "2026-03-01T10:00:00.000000+00:00",
        "time": 90,
        "request": {"method": "GET", "url": url, "cookies": [], "headers": [], "queryString": []},
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": pairs([("Content-Type", media_type)]),
            "content": {"size": len(body), "compression": 0, "mimeType": media_type} | content,
            "redirectURL": "",
            "headersSize": 200,
            "bodySize": len(body),
        },
        "cache": {},
        "timings": {"connect": 10, "ssl": 20, "send": 1, "receive": 9, "wait": 50},
        "serverIPAddress": "192.0.2.7",
    } | more


def document(entries: Sequence[Any]) -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": "t", "version": "1"}, "pages": [], "entries": list(entries)}}


def written(folder: Path, entries: Sequence[Any]) -> Path:
    path = folder / "partner.har"
    path.write_text(json.dumps(document(entries)), encoding="utf-8")
    return path


def read(folder: Path, *entries: Entry, host: str = "") -> RoutesRead:
    return read_har(written(folder, entries), host)


def route_of(folder: Path, *entries: Entry, host: str = "") -> PlannedRoute:
    (route,) = read(folder, *entries, host=host).routes
    return route


def answer_of(folder: Path, recorded: Entry) -> PlannedAnswer:
    (answer,) = route_of(folder, recorded).answers
    return answer


def refused(folder: Path, *entries: Entry, host: str = "") -> UnreadableRoutes:
    with pytest.raises(UnreadableRoutes) as caught:
        read(folder, *entries, host=host)
    return caught.value
