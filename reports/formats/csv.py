"""gates.csv and phases.csv: the small tables, for spreadsheets and trend lines. Rows by the million stay out.

A load of several requests has requests.csv too, a row for each phase and name.

An empty field is unknown. A text that a spreadsheet would run as a formula gets an apostrophe before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from reports import frame
from reports.redacted import shown
from reports.subject import Subject

FILES: Final = ("gates.csv", "phases.csv")
REQUESTS: Final = "requests.csv"
EQUALS: Final = "="
"""The comparison of `errors = 0`. Alone it is no formula."""
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def write(subject: Subject, out: Path) -> list[Path]:
    tables = (frame.gates(subject.results), frame.phases(subject.results))
    paths = [out / name for name in FILES]
    for path, table in zip(paths, tables, strict=True):
        _write(table, path)
    by_name = frame.requests(subject.results)
    if not by_name.empty:
        paths.append(out / REQUESTS)
        _write(by_name, paths[-1])
    return paths


def _write(table: pd.DataFrame, path: Path) -> None:
    table.map(_inert).to_csv(path, index=False, float_format="%.6g", lineterminator="\n", encoding="utf-8")


def _inert(value: Any) -> Any:
    if not isinstance(value, str) or value == EQUALS:
        return value
    text = " ".join(shown(value).split("\n")).replace("\t", " ")
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
