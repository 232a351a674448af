"""The row file of a worker: rows are appended during the load, and a footer at its end.

A run whose rows cannot be written cannot be judged, so a full disk ends the process at once; rows that were written
before stay readable.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from harness.errors import RigError
from harness.rundir.rows import SAMPLES, RowWriter
from scenarios.drive.arrival import Row

FLUSH_EVERY_S = 0.5
"""The live display and --fail-fast read the file during the load."""


def die(message: str) -> NoReturn:
    """Ends the process now, with the message as the last line of stderr.

    It raises no exception, since Locust would log it and go on.
    """
    sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(RigError.exit_code)


class Recorder:
    """Writes the rows. Rows after `close` are ignored, since greenlets may still report while the process ends."""

    def __init__(self, run_dir: Path, index: int) -> None:
        self.path = run_dir / f"samples-{index}.bin"
        self._writer = RowWriter(self.path, SAMPLES)
        self._closed = False

    def add(self, row: Row) -> None:
        if self._closed:
            return
        try:
            self._writer.append(*row)
        except OSError as exc:
            die(f"{self.path.name} takes no more rows: {exc}")

    def flush(self) -> None:
        try:
            self._writer.flush()
        except OSError as exc:
            die(f"{self.path.name} takes no more rows: {exc}")

    def close(self) -> None:
        """Writes the footer. Idempotent, since Locust signals its end by two events, in either order."""
        if self._closed:
            return
        self._closed = True
        try:
            self._writer.close()
        except OSError as exc:
            die(f"{self.path.name} could not be closed: {exc}")
