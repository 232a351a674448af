"""The entries of a HAR 1.2 file, read as a stream: memory holds one entry at a time, however long the file.

Only what routes are made of is kept of an entry. Requests' bodies and headers, cookies and pages are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from harness.upstreams.routes.routes_read import UnreadableRoutes

FILE_BYTES_MOST: Final = 100_000_000
HEADERS_MOST: Final = 200
"""Headers of one answer; further ones are passed over."""
_BOM: Final = b"\xef\xbb\xbf"
_EXPORT: Final = "export the recording again, as HAR with content, from the browser, mitmproxy, Playwright or Charles"
_ENTRY: Final[dict[str, Any]] = {
    "_fromCache": None,
    "request": {"method": None, "url": None},
    "response": {
        "status": None,
        "headers": [{"name": None, "value": None}],
        "bodySize": None,
        "content": {"size": None, "mimeType": None, "text": None, "encoding": None, "_file": None},
    },
    "timings": {"wait": None, "receive": None},
}
"""The members of an entry that are kept; None stands for a text, number, true, false or null."""


def entries_of(path: Path) -> Iterator[Any]:
    """What `_ENTRY` names of each element of `log.entries`, with any type where HAR wants another. Raises
    UnreadableRoutes."""
    try:
        if not path.is_file():
            path.stat()
            raise UnreadableRoutes(f"{path.name} is {'a folder' if path.is_dir() else 'no file'}", "name a HAR file")
        size = path.stat().st_size
        if size > FILE_BYTES_MOST:
            raise UnreadableRoutes(
                f"{path.name} has {size / 1e6:,.0f} MB, more than the {FILE_BYTES_MOST // 1_000_000} MB that are read",
                "record less, or only the one host: browsers and mitmproxy save what their filter shows",
            )
        with path.open("rb") as file:
            yield from _streamed(_Source(file), path.name)
    except OSError as exc:
        raise UnreadableRoutes(f"{path.name} cannot be read: {exc.strerror}", "check the path and its rights") from exc


class _Source:
    """The file without its byte order mark, and whether its end was reached."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.has_ended = False
        if file.read(len(_BOM)) != _BOM:
            file.seek(0)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.has_ended |= size != 0 and not data
        return data


def _streamed(source: _Source, name: str) -> Iterator[Any]:
    import ijson  # scenarios without a recording should not pay for it

    whole = 0
    try:
        # without use_float, ijson's C code may crash the process at a number that Python refuses, such as 5,000 digits
        for entry in _entries(ijson.basic_parse(source, use_float=True), name):
            whole += 1
            yield entry
    except (ijson.JSONError, ValueError) as exc:
        what = "is not valid JSON, or has a number beyond 64 bits"
        if source.has_ended:
            what = "is cut: the file ends within its JSON document"
        raise UnreadableRoutes(f"{name} {what}, after {whole:,} whole entries", _EXPORT) from exc


def _entries(events: Iterator[tuple[str, Any]], name: str) -> Iterator[Any]:
    """What `_ENTRY` names of each element of `log.entries`. The whole document is read, so that a cut is noticed."""
    has_list = False
    kind, _ = next(events)
    for key, inner in _members(kind, events):
        if key != "log":
            _skip(inner, events)
            continue
        for member, value in _members(inner, events):
            if member != "entries" or value != "start_array":
                _skip(value, events)
                continue
            has_list = True
            for element, scalar in events:
                if element == "end_array":
                    break
                yield _picked(element, scalar, events, _ENTRY)
    for _ in events:  # ijson finds text behind the document only if it is asked for more
        pass
    if not has_list:
        raise UnreadableRoutes(f"{name} is JSON, but no HAR recording: it has no list `log.entries`", _EXPORT)


def _members(kind: str, events: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """The keys of an object, each with the kind of its value, which the caller reads. Anything else is passed over."""
    if kind != "start_map":
        _skip(kind, events)
        return
    for event, key in events:
        if event == "end_map":
            return
        yield key, next(events)[0]


def _skip(kind: str, events: Iterator[tuple[str, Any]]) -> None:
    """Passes over a value whose first event was `kind`."""
    if kind not in ("start_map", "start_array"):
        return
    depth = 1
    for event, _ in events:
        if event in ("start_map", "start_array"):
            depth += 1
        elif event in ("end_map", "end_array"):
            depth -= 1
            if not depth:
                return


def _picked(kind: str, scalar: Any, events: Iterator[tuple[str, Any]], shape: Any) -> Any:
    """A value as far as `shape` names it; None if it has another shape."""
    if kind == "start_map" and isinstance(shape, dict):
        found = {}
        for event, key in events:
            if event == "end_map":
                break
            inner, value = next(events)
            if key in shape:
                found[key] = _picked(inner, value, events, shape[key])
            else:
                _skip(inner, events)
        return found
    if kind == "start_array" and isinstance(shape, list):
        items: list[Any] = []
        for event, value in events:
            if event == "end_array":
                break
            if len(items) < HEADERS_MOST:
                items.append(_picked(event, value, events, shape[0]))
            else:
                _skip(event, events)
        return items
    _skip(kind, events)
    return scalar if shape is None else None
