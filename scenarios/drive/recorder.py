"""The row file of this worker: appended to while the load is on, closed with a footer at its end.

A run whose rows cannot be written is worth nothing, so a full disk ends the process at once; what
was written before stays readable.
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
"""The live display and --fail-fast read the file as it grows."""


def die(message: str) -> NoReturn:
    """End the process now, with the message as the last line of stderr.

    Not by an exception: Locust logs what a listener or greenlet raises and goes on.
    """
    sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(RigError.exit_code)


class Recorder:
    """Rows after `close` are refused in silence: greenlets may still report while a process ends."""

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
        """Write the footer. Idempotent: Locust tells of its end twice, in either order."""
        if self._closed:
            return
        self._closed = True
        try:
            self._writer.close()
        except OSError as exc:
            die(f"{self.path.name} could not be closed: {exc}")
