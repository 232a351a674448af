"""`tailgate report RUN_DIR`: writes a finished run's reports again, from its results."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.display import output
from harness.errors import UsageError
from reports.report import ALL


@click.command(name="report")
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option(
    "--format", "formats", default=",".join(ALL), show_default=True, metavar="LIST", help="Formats, with commas."
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write.  [default: RUN_DIR]")
def report_command(run_dir: Path, formats: str, out: Path | None) -> None:
    """Write a run's reports again.

    Judges nothing anew (see `tailgate judge`). RUN_DIR may be a matrix: its table is written, and the
    reports of each of its cells.
    """
    from reports.report import write_matrix_report, write_reports

    names = [name.strip() for name in formats.split(",") if name.strip()]
    if _kind(run_dir) != "matrix":
        for path in write_reports(run_dir, names, out):
            output.say(str(path))
        return
    if out is not None:
        raise UsageError("--out is for a single run; a matrix's pages link to each other", "leave it out")
    for cell in sorted(run_dir.glob("*/**/results.json")):
        write_reports(cell.parent, names)
    for path in write_matrix_report(run_dir):
        output.say(str(path))


def _kind(run_dir: Path) -> str:
    """`run` where results.json cannot be read: the reader then says what is wrong with it."""
    try:
        return str(json.loads((run_dir / "results.json").read_bytes())["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return "run"
