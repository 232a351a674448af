"""Writes a run's reports from its directory: which formats there are, and where each goes.

Judges nothing: results.json is the source of truth and must be there.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.evidence import Evidence

ALL: Final = ("html", "md", "junit", "json", "csv")
"""Each is a module of `reports.formats` with FILES and `write(subject, out)`, imported when it is asked for."""


def write_reports(
    run_dir: Path, formats: Sequence[str] = ALL, out: Path | None = None, *, evidence: Evidence | None = None
) -> list[Path]:
    """The files written, in the order of `formats`. `out` is the run directory itself unless given.

    `evidence`: what the judge has read of the run (of a pool's first), so that it is not read again.

    Raises UsageError for an unknown format, a directory without results.json, or one that cannot be
    written to.
    """
    from reports.subject import Subject

    for name in formats:
        if name not in ALL:
            raise UsageError(f"`{name}` is not a report format", f"choose from {', '.join(ALL)}")
    subject = Subject.load(run_dir, evidence)
    target = out or run_dir
    try:
        target.mkdir(parents=True, exist_ok=True)
        return [
            path
            for name in formats
            for path in importlib.import_module(f"reports.formats.{name}").write(subject, target)
        ]
    except OSError as exc:
        raise UsageError(
            f"the report cannot be written to {target}: {exc.strerror or exc}", "choose another --out"
        ) from exc


def write_matrix_report(matrix_dir: Path) -> list[Path]:
    """report.html, summary.md and junit.xml of a matrix, beside its results.json. Raises UsageError."""
    from reports import matrix

    try:
        return matrix.write(matrix_dir)
    except OSError as exc:
        raise UsageError(f"the report cannot be written to {matrix_dir}: {exc.strerror or exc}") from exc
