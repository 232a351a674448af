"""The one reader of files that hold a JSON document a line, which a run writes while it goes, and the one way to
replace a small file of JSON.

A process that is killed, or a power cut, leaves a last line without its line end: where that one cannot be read it is
passed over. Any other line that cannot be read is damage, and each file decides what damage means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

Line = TypeVar("Line")
Parse = Callable[[bytes], Line]
"""From a line without its end; raises ValueError or RecursionError for what the file should not hold."""


class DamagedLine(ValueError):
    """A line, not the last one cut short, that is not what its file holds: `canary.ndjson:7: not a canary line`."""


def read_ndjson(
    path: Path,
    parse: Parse[Line],
    what: str,
    *,
    pass_over: Callable[[DamagedLine], object] | None = None,
    bytes_most: int = -1,
) -> Iterator[Line]:
    """The lines of `path`, or of its first `bytes_most`, in order; none where there is no such file.

    `what` names a line: `a canary line`. Raises DamagedLine; with `pass_over`, that is called with it instead and
    reading goes on. Raises OSError where the file is there and cannot be read.
    """
    try:
        with path.open("rb") as file:
            lines = file.read(bytes_most).split(b"\n")
    except FileNotFoundError:
        return
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            parsed = parse(line)
        except (ValueError, RecursionError) as exc:
            if number == len(lines):  # without a line end: cut short
                return
            damage = DamagedLine(f"{path.name}:{number}: not {what}")
            if pass_over is None:
                raise damage from exc
            pass_over(damage)
        else:
            yield parsed


def append_line(path: Path, line: str, parse: Parse[object]) -> None:
    """Add a line. A last one that was cut short is given its end if `parse` reads it, and is removed if not, since the
    new one would be damage behind it. Raises OSError."""
    with path.open("a+b") as file:
        whole = b"\n"
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.seek(0)
                whole = file.read()
        begin = whole.rfind(b"\n") + 1
        if cut := whole[begin:]:
            try:
                parse(cut)
            except (ValueError, RecursionError):
                file.truncate(begin)
            else:
                file.write(b"\n")
        file.write(line.encode() + b"\n")


def replace_file(path: Path, text: str) -> None:
    """Write the whole file in one step: a reader never sees half of it, and where this raises OSError the old one is
    still there."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def readable_lines(path: Path, parse: Parse[Line], *, bytes_most: int) -> tuple[Line, ...]:
    """Of a file on which no verdict rests: the lines within its first `bytes_most` that can be read. Raises nothing."""
    try:
        return tuple(read_ndjson(path, parse, "a line", pass_over=lambda _: None, bytes_most=bytes_most))
    except OSError:
        return ()
