"""`{column}` in a request's path, headers and body, filled from a row of the data file.

A name in single braces is a column; a name in doubled braces stands for the text in single ones. Every other brace is
plain text, so that a JSON body needs no doubling. Values are inserted unchanged.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
_PLACE = re.compile(rf"{{{{({_NAME})}}}}|{{({_NAME})}}")


def compile_template(text: str, columns: Sequence[str]) -> Callable[[Mapping[str, str]], str]:
    """A function from a row to the filled text. Raises ValueError for a name that is not a column."""
    pieces: list[str] = []  # text and column alternate
    plain = ""
    end = 0
    for match in _PLACE.finditer(text):
        plain += text[end : match.start()]
        end = match.end()
        literal, column = match.groups()
        if literal is not None:
            plain += f"{{{literal}}}"
        elif column not in columns:
            known = ", ".join(columns)
            hint = f"write {{{{{column}}}}} for the text itself"
            raise ValueError(f"`{{{column}}}` is not a column of the data file ({known}); {hint}")
        else:
            pieces += [plain, column]
            plain = ""
    if not pieces:
        return lambda _row: plain + text[end:]
    tail = plain + text[end:]
    texts, names = pieces[0::2], pieces[1::2]

    def fill(row: Mapping[str, str]) -> str:
        return "".join(part + row[name] for part, name in zip(texts, names, strict=True)) + tail

    return fill


def read_rows(path: Path) -> tuple[tuple[str, ...], tuple[Mapping[str, str], ...]]:
    """Column names and rows of a CSV file with a header line. Raises OSError, ValueError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows = tuple(reader)
            columns = tuple(reader.fieldnames or ())
    except csv.Error as exc:
        raise ValueError(f"{path.name} is not CSV: {exc}") from exc
    if not rows:
        raise ValueError(f"{path.name} has no row below its header")
    if any(None in row for row in rows):
        raise ValueError(f"{path.name} has a row with more fields than its header")
    return columns, rows
