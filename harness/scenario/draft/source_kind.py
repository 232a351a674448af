"""What kind of file a scenario is to be made from. The content decides, never the name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from harness.errors import Problem, ScenarioError, UsageError

SourceKind = Literal["compose", "openapi", "toxiproxy", "har", "scenario"]

TEXT_BYTES_MOST: Final = 1_000_000
"""Of a compose file and of a Toxiproxy configuration. Recordings and descriptions have readers with bounds of their
own."""
UNDONE: Final = "nothing was written"
_BOM: Final = "\ufeff"
_TOP_LEVEL_KEY: Final = re.compile(r"""^["']?([A-Za-z][A-Za-z0-9_-]{0,40})["']?[ \t]*:(?:[ \t]|$)""", re.MULTILINE)
_BY_KEY: Final[tuple[tuple[str, SourceKind], ...]] = (
    ("openapi", "openapi"),
    ("swagger", "openapi"),
    ("services", "compose"),
    ("include", "compose"),
    ("service", "scenario"),
    ("load", "scenario"),
    ("upstreams", "scenario"),
    ("faults", "scenario"),
    ("gates", "scenario"),
    ("extends", "scenario"),
)
_FIX: Final = (
    "name a compose file (it has `services`), an OpenAPI description (`openapi`), a Toxiproxy configuration (a JSON "
    "list of proxies), a HAR recording (`log.entries`) or a scenario"
)


def source_kind(path: Path) -> SourceKind:
    """Raises UsageError if the file cannot be read or is of no known kind, and ScenarioError if it is broken JSON."""
    head = _head(path)
    begin = head.lstrip()[:1]
    found: SourceKind | None = None
    if begin in ("{", "["):
        found = _json_kind(path, head)
    if found is None:
        keys = set(_TOP_LEVEL_KEY.findall(head)) if begin != "{" else set(_flow_keys(head))
        found = next((kind for key, kind in _BY_KEY if key in keys), None)
    if found is None:
        raise UsageError(f"{path} is nothing that a scenario can be made from", _FIX)
    return found


def source_text(path: Path) -> str:
    """The text of a small file, its line breaks as `\\n`. Raises UsageError."""
    text = _head(path)
    if path.stat().st_size > TEXT_BYTES_MOST:
        raise UsageError(f"{path} is larger than a megabyte", "name a compose file or a configuration of Toxiproxy")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _head(path: Path) -> str:
    """The first megabyte."""
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder", "name a file in it")
        if path.exists() and not path.is_file():
            # opening a FIFO without a writer would block for ever
            raise UsageError(f"{path} is not a regular file", "save it as one")
        with path.open("rb") as file:
            raw = file.read(TEXT_BYTES_MOST)
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}", _FIX) from None
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise UsageError(f"{path} cannot be read: {reason}", "check the path and its rights") from exc
    if not raw.strip():
        raise UsageError(f"{path} is empty", _FIX)
    try:
        # the last character may be cut
        return raw.decode("utf-8", "strict" if len(raw) < TEXT_BYTES_MOST else "ignore").removeprefix(_BOM)
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise UsageError(
            f"{path} is not UTF-8 (byte {raw[exc.start]:#04x} on line {line})", "save it as UTF-8"
        ) from exc


def _json_kind(path: Path, head: str) -> SourceKind | None:
    """None for JSON of no known kind, and for what may be YAML in braces. Raises ScenarioError for broken JSON."""
    import ijson

    try:
        with path.open("rb") as file:
            if file.read(3) != b"\xef\xbb\xbf":
                file.seek(0)
            # without use_float, ijson's C code may crash the process at a number that Python refuses
            return _kind_of_events(ijson.basic_parse(file, use_float=True))
    except (ijson.JSONError, ValueError, StopIteration):
        if re.search(r'^\s*(\[\s*\{\s*"|\{\s*")', head):
            raise broken_json(path, head) from None
        return None


def _kind_of_events(events: Iterator[tuple[str, Any]]) -> SourceKind | None:
    """The kind of a JSON document by the keys of its outermost object, or of the first object in its list."""
    known = {key: kind for key, kind in _BY_KEY if kind != "scenario"}
    depth = 0
    is_list = False
    for event, value in events:
        if event in ("start_map", "start_array"):
            depth += 1
            is_list |= depth == 1 and event == "start_array"
        elif event in ("end_map", "end_array"):
            depth -= 1
        elif event == "map_key" and is_list and depth == 2 and value in ("listen", "upstream"):
            return "toxiproxy"
        elif event == "map_key" and not is_list and depth == 1:
            if value == "log":
                return "har"
            if value in known:
                return known[value]
    return None


def _flow_keys(head: str) -> list[str]:
    """Words before a colon in YAML that is written in braces."""
    return re.findall(r"""[{,]\s{0,200}["']?([A-Za-z][A-Za-z0-9_-]{0,40})["']?\s{0,20}:""", head[:100_000])


def broken_json(path: Path, head: str) -> ScenarioError:
    """The error for a text that is not JSON, with its line. `head`: the text, or its first megabyte."""
    fix = "save the file again, or correct it there"
    try:
        json.loads(head)
    except json.JSONDecodeError as exc:
        lines = head.split("\n")
        source = lines[exc.lineno - 1].rstrip() if exc.lineno <= len(lines) else ""
        problem = Problem(str(path), exc.lineno, exc.colno, "", f"not JSON: {exc.msg}", fix, source)
        return ScenarioError((problem,), UNDONE)
    except (ValueError, RecursionError):
        pass
    return ScenarioError((Problem(str(path), 0, 0, "", "not JSON, or with a number beyond 64 bits", fix),), UNDONE)
