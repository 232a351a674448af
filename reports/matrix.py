"""The reports of a matrix: the ladder's table, each cell beside what was expected of it.

Reads every cell's own results.json; a cell whose results are missing keeps its row and says so.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pandas as pd

from harness.errors import UsageError
from harness.rundir.results import CellResult, MatrixResults, Results
from reports import formatting, frame
from reports.formats import github, junit, md
from reports.page import embedded_json, render
from reports.redacted import redacted_document, shown
from reports.subject import read_matrix, read_results

FILES: Final = ("report.html", "summary.md", "junit.xml")


def write(matrix_dir: Path) -> list[Path]:
    """Raises UsageError where the matrix has no results.json."""
    matrix = read_matrix(matrix_dir)
    runs = [_run(matrix_dir, cell) for cell in matrix.cells]
    paths = [matrix_dir / name for name in FILES]
    paths[0].write_text(_page(matrix_dir, matrix, runs), encoding="utf-8")
    summary = _summary(matrix, runs)
    paths[1].write_text(summary, encoding="utf-8")
    junit.write_suites(paths[2], [_suite(matrix, runs)])
    github.append_summary(summary)
    github.annotate(_errors(matrix, runs))
    return paths


def sentence(matrix: MatrixResults) -> str:
    off = [cell.cell for cell in matrix.cells if not cell.as_expected]
    count = len(matrix.cells)
    if not off:
        return f"All {count} cells ended as expected." if count != 1 else "The one cell ended as expected."
    return f"{len(off)} of {count} cells did not end as expected: {', '.join(off)}."


def _page(matrix_dir: Path, matrix: MatrixResults, runs: Sequence[Results | None]) -> str:
    calls = frame.calls_per_arrival(matrix.cells, runs)
    return render(
        "matrix.html.j2",
        {
            "matrix": matrix,
            "title": matrix.scenario.name,
            "word": formatting.WORD[matrix.verdict].upper(),
            "sentence": sentence(matrix),
            "cells": _rows(matrix_dir, matrix, runs),
            "calls_columns": list(calls.columns),
            "calls_rows": [(name, row.tolist()) for name, row in calls.iterrows()],
            "results_json": embedded_json(redacted_document(matrix.model_dump(mode="json"))),
        },
        chart=False,
    )


def _rows(matrix_dir: Path, matrix: MatrixResults, runs: Sequence[Results | None]) -> list[dict[str, Any]]:
    """For the page: each cell with its figures per fault phase."""
    table = frame.cells(matrix.cells, runs)
    rows = []
    for cell, run in zip(matrix.cells, runs, strict=True):
        report = (Path(cell.results).parent / "report.html").as_posix()
        rows.append(
            {
                "cell": cell,
                "link": quote(report) if _is_below(matrix_dir, report) else "",
                "reason": run.reason if run else "its results.json cannot be read",
                "replay": run.replay if run else "",
                "notes": run.notes if run else (),
                "phases": table[(table["cell"] == cell.cell) & (table["phase"] != "")].to_dict("records"),
            }
        )
    return rows


def _is_below(matrix_dir: Path, report: str) -> bool:
    """A link leads into the matrix directory or nowhere: results.json may have come from elsewhere."""
    target = (matrix_dir / report).resolve()
    return not Path(report).is_absolute() and target.is_relative_to(matrix_dir.resolve())


def _summary(matrix: MatrixResults, runs: Sequence[Results | None]) -> str:
    verdict = _worded(matrix.verdict).upper()
    table = frame.cells(matrix.cells, runs)
    cells = {cell.cell: cell for cell in matrix.cells}
    rows = [
        (
            md.escaped(row["cell"]),
            _worded(cells[row["cell"]].verdict),
            _expected(cells[row["cell"]]),
            md.escaped(row["phase"]),
            formatting.rank(*(_figure(row[key]) for key in ("p50_ms", "n", "cut_off_ms"))),
            formatting.rank(*(_figure(row[key]) for key in ("p99_ms", "n", "cut_off_ms"))),
            formatting.share(_figure(row["timeout_share"])),
            formatting.share(_figure(row["complete_share"])),
        )
        for row in table.to_dict("records")
    ]
    head = ("cell", "verdict", "expected", "phase", "p50", "p99", "504s", "complete")
    lines = [f"## {verdict}: {md.escaped(matrix.scenario.name)}", "", f"**{md.escaped(sentence(matrix))}**", ""]
    notes = [
        f"- {md.escaped(cell.cell)}: {md.escaped(note)}"
        for cell, run in zip(matrix.cells, runs, strict=True)
        for note in (run.notes if run else ())
    ]
    return "\n".join([*lines, *md.table(head, rows), *(["", *notes] if notes else [])]) + "\n"


def _worded(verdict: str) -> str:
    return f"{formatting.ICON[verdict]} {formatting.WORD[verdict]}"


def _expected(cell: CellResult) -> str:
    return f"{'✓' if cell.as_expected else '✕'} {md.escaped(' or '.join(cell.expected))}"


def _figure(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _suite(matrix: MatrixResults, runs: Sequence[Results | None]) -> ET.Element:
    """One case a cell: what counts in a matrix is whether each verdict was the expected one."""
    element = ET.Element("testsuite", {"name": shown(matrix.scenario.name)})
    failures = errors = 0
    for cell, run in zip(matrix.cells, runs, strict=True):
        case = ET.SubElement(
            element, "testcase", {"classname": shown(matrix.scenario.name), "name": shown(cell.cell), "time": "0"}
        )
        if run and run.notes:
            ET.SubElement(case, "system-out").text = shown("\n".join(run.notes))
        if cell.as_expected:
            continue
        rig = cell.verdict == "rig_failure"
        failures, errors = failures + (not rig), errors + rig
        problem = ET.SubElement(
            case, "error" if rig else "failure", {"type": cell.verdict, "message": shown(_surprise(cell))}
        )
        problem.text = shown(f"{run.reason}\nreplay: {run.replay}" if run else "results.json cannot be read")
    for key, count in (("tests", len(matrix.cells)), ("failures", failures), ("errors", errors), ("skipped", 0)):
        element.set(key, str(count))
    return element


def _errors(matrix: MatrixResults, runs: Sequence[Results | None]) -> list[github.LineError]:
    """Failed gates of cells that were not expected to fail; one line for each other surprise."""
    errors: list[github.LineError] = []
    for cell, run in zip(matrix.cells, runs, strict=True):
        if cell.as_expected:
            continue
        failed = github.gate_errors(run) if run else []
        errors.extend(failed or [github.LineError(matrix.scenario.file, 0, f"tailgate: {cell.cell}", _surprise(cell))])
    return errors


def _surprise(cell: CellResult) -> str:
    return f"{cell.cell}: {cell.verdict} where {' or '.join(cell.expected)} was expected"


def _run(matrix_dir: Path, cell: CellResult) -> Results | None:
    if not _is_below(matrix_dir, cell.results):
        return None
    try:
        return read_results((matrix_dir / cell.results).parent)
    except UsageError:
        return None
