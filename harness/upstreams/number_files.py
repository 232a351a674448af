"""Files of numbers, one per line: recorded latencies and recorded arrivals."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from harness.upstreams.recording import Points, points_of
from harness.upstreams.upstream_files import UnreadableFile

LATENCIES_BYTES_MAX: Final = 5_000_000
RELATIVE: Final = "the path is relative to this file"
DAY_S: Final = 86_400.0
OTHER_UNITS: Final = frozenset({"s", "sec", "secs", "second", "seconds", "us", "µs", "ns", "min", "minutes"})


def existing_file(found: Path) -> Path:
    """The path. Raises UnreadableFile if it is no file."""
    if not found.is_file():
        what = "is a folder" if found.is_dir() else "does not exist"
        raise UnreadableFile(f"{found} {what}", RELATIVE)
    return found


def existing_folder(found: Path) -> Path:
    """The path. Raises UnreadableFile if it is no folder."""
    if not found.is_dir():
        raise UnreadableFile(f"{found} is not a folder", RELATIVE)
    return found


def no_larger(found: Path, most: int, fix: str) -> None:
    """Raises UnreadableFile if the file has more than `most` bytes, or is none."""
    if existing_file(found).stat().st_size > most:
        raise UnreadableFile(f"{found.name} is larger than {most // 10**6} MB", fix)


def latency_points(found: Path) -> Points:
    """The distribution of a file with one latency in milliseconds per line. Raises UnreadableFile and OSError."""
    no_larger(found, LATENCIES_BYTES_MAX, "keep every tenth line or so: the distribution stays the same")
    stat = found.stat()
    return _points_of(found, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)  # each cell of a matrix asks for the same file again
def _points_of(found: Path, _changed_ns: int, _size: int) -> Points:
    fix = "write one latency per line, in milliseconds and without a unit, and no other column"
    latencies_ms = list(numbers_in(found, DAY_S * 1000, fix, header=True))
    if not latencies_ms:
        raise UnreadableFile(f"{found.name} has no latency", fix)
    return points_of(latencies_ms)


def numbers_in(found: Path, most: float, fix: str, *, header: bool = False) -> Iterator[float]:
    """The numbers of a file. `#` begins a comment. `header`: a first line that is not a number is the column's name,
    which may not name another unit than milliseconds. Raises UnreadableFile with `fix` if a line is no number from 0 to
    `most`, and OSError."""
    first = True
    with found.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            heading, first = header and first, False
            try:
                value = float(text)
            except ValueError:
                if heading and "," not in text:
                    _in_milliseconds(text, found, fix)
                    continue
                raise UnreadableFile(f"line {number} of {found.name} is not a number: `{text[:40]}`", fix) from None
            if not math.isfinite(value) or not 0 <= value <= most:
                raise UnreadableFile(f"line {number} of {found.name}: {text[:40]} is outside 0 to a day", fix)
            yield value


def _in_milliseconds(column: str, found: Path, fix: str) -> None:
    if OTHER_UNITS.intersection(re.split(r"[^a-zµ]+", column.lower())):
        raise UnreadableFile(f"{found.name} is not in milliseconds: its column is called `{column[:40]}`", fix)
