"""Output for GitHub Actions: a job summary appended to its file, and errors at the lines of failed gates.

Does nothing elsewhere. Commands go to stderr, which the runner reads as well, so that stdout stays
the one document of `--json`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.rundir.results import Results
from reports import formatting
from reports.redacted import shown

MOST_BYTES: Final = 1024 * 1024
"""Of a step's summary; a longer one is refused whole."""
MOST_ERRORS: Final = 10
_CUT: Final = "\n\n*Cut here: a step's summary ends at 1 MiB.*\n"


@dataclass(frozen=True, slots=True)
class LineError:
    """`line` 0: the file as a whole."""

    file: str
    line: int
    title: str
    message: str


def gate_errors(results: Results) -> list[LineError]:
    """One a failed gate. An inconclusive gate is no error of the code at that line."""
    return [
        LineError(
            results.scenario.file,
            gate.line,
            f"tailgate: {gate.text}",
            f"{gate.reason} (observed {formatting.observed(gate)}, limit {formatting.limit(gate)})",
        )
        for gate in results.gates
        if gate.verdict == "fail"
    ]


def append_summary(text: str) -> None:
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    path = Path(target)
    try:
        left = MOST_BYTES - (path.stat().st_size if path.exists() else 0)
        with path.open("ab") as file:
            file.write(fitted(text, left))
    except OSError as exc:
        # a job summary is a courtesy: without it the verdict still stands
        print(f"the job summary could not be written: {shown(str(exc))}", file=sys.stderr)  # noqa: T201


def fitted(text: str, left_bytes: int) -> bytes:
    """`text` in at most `left_bytes`, cut between lines, with a word that it was."""
    data = text.encode() + b"\n"
    if len(data) <= left_bytes:
        return data
    room = left_bytes - len(_CUT)
    if room <= 0:
        return b""
    return data[:room].rpartition(b"\n")[0] + _CUT.encode()


def annotate(errors: Iterable[LineError]) -> None:
    """`::error …` for the first ten, where GITHUB_ACTIONS is set."""
    if not os.environ.get("GITHUB_ACTIONS"):
        return
    for error in list(errors)[:MOST_ERRORS]:
        sys.stderr.write(command(error) + "\n")


def command(error: LineError) -> str:
    """The workflow command: nothing in it can end it or begin another."""
    line = f",line={error.line}" if error.line else ""
    title = _property(error.title)
    return f"::error file={_property(error.file)}{line},title={title}::{_data(error.message)}"


def _data(text: str) -> str:
    return shown(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
