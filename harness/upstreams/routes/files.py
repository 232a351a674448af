"""The files that a route answers with. They are listed once, at the start: no request ever opens a path."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.upstreams.routes.templates import Placeholder, parse_template

FILES_MOST: Final = 10_000
BYTES_MOST: Final = 100_000_000
"""Of all files of one route together."""
_ONE_SEGMENT: Final = r"([^/\\\x00]+)"


@dataclass(frozen=True, slots=True)
class RouteFiles:
    """`params`: the parameters in the pattern, in order. `paths`: each file by the values of these."""

    params: tuple[str, ...]
    paths: dict[tuple[str, ...], Path] = field(default_factory=dict)


def files_of(pattern: str, params: Sequence[str]) -> RouteFiles:
    """The files that match an absolute path with parameters of the route: `/data/airports/{code}.json`.

    A parameter stands for a part of one name. Raises ValueError (BadTemplate among them) if the pattern is not valid,
    matches too much or nothing, and OSError.
    """
    parts = parse_template(pattern, params)
    named = [part.name for part in parts if isinstance(part, Placeholder)]
    if any(isinstance(part, Placeholder) and part.source != "param" for part in parts):
        raise ValueError("only parameters of the route's path may stand in `file`")
    if not named:
        path = Path("".join(map(str, parts)))
        _check_size([path])
        return RouteFiles((), {(): path})
    expression = re.compile("".join(_ONE_SEGMENT if isinstance(p, Placeholder) else re.escape(p) for p in parts))
    folder = Path(f"{parts[0]}_").parent
    depth = pattern.count("/") - str(folder).count("/")
    found: dict[tuple[str, ...], Path] = {}
    for path in _walked(folder, depth):
        match = expression.fullmatch(str(path))
        if match and (values := _values(named, match.groups())) is not None:
            found[values] = path
    if not found:
        raise ValueError(f"no file matches {pattern}")
    _check_size(list(found.values()))
    return RouteFiles(tuple(dict.fromkeys(named)), found)


def _values(names: Sequence[str], values: Sequence[str]) -> tuple[str, ...] | None:
    """One value for each different name; None where a parameter that stands twice would have two values."""
    by_name: dict[str, str] = {}
    for name, value in zip(names, values, strict=True):
        if by_name.setdefault(name, value) != value or value in (".", ".."):
            return None
    return tuple(by_name.values())


def _walked(folder: Path, depth: int) -> Iterator[Path]:
    """Every file at most `depth` levels down, in a fixed order. Raises ValueError beyond FILES_MOST entries."""
    seen = 0
    for here, folders, files in os.walk(folder):
        level = len(Path(here).parts) - len(folder.parts) + 1
        folders[:] = sorted(folders) if level < depth else []
        for name in sorted(files):
            seen += 1
            if seen > FILES_MOST:
                raise ValueError(f"more than {FILES_MOST:,} files are below {folder}")
            yield Path(here, name)


def _check_size(paths: Sequence[Path]) -> None:
    if sum(path.stat().st_size for path in paths) > BYTES_MOST:
        raise ValueError(f"the files of one route have more than {BYTES_MOST // 10**6} MB together")
