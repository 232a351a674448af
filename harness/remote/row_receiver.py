"""The master's end of a worker's rows: checks each batch, moves its times to our clock, and writes the row file.

Batches may come twice or be missing after a broken connection: only the one that continues the file is written, and
the count of rows that are here is acknowledged. At the end count and digest must equal those of the worker's own file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.remote.messages import Rows, RowsEnd, RowsTaken
from harness.rundir.rows import SAMPLES, RowWriter

_FIX: Final = "run again; if it happens again, look at the network and the memory of that machine"


class RowReceiver:
    """The rows of one worker. `offset_ns`: its clock minus ours, subtracted from every known time."""

    def __init__(self, path: Path, *, name: str, offset_ns: int) -> None:
        """Raises OSError."""
        self._writer = RowWriter(path, SAMPLES)
        self._name = name
        self._offset_ns = offset_ns
        self._digest = hashlib.sha256()
        self.rows = 0
        self.closed = False

    def take(self, message: Rows) -> RowsTaken:
        """Writes the rows unless they are here already. Raises OSError, and RigError for a batch that is damaged."""
        if hashlib.sha256(message.data).hexdigest() != message.sha256 or len(message.data) % SAMPLES.size:
            raise RigError(f"rows of {self._name} came damaged", _FIX)
        if message.first == self.rows and not self.closed:
            self._digest.update(message.data)
            for values in SAMPLES.unpack(message.data):
                self._writer.append(*_shifted(values, self._offset_ns))
            self._writer.flush()
            self.rows += len(message.data) // SAMPLES.size
        return RowsTaken(rows=self.rows, closed=self.closed)

    def end(self, message: RowsEnd) -> RowsTaken:
        """Closes the file once every row is here. Raises OSError, and RigError if the digests differ."""
        if self.closed or self.rows < message.rows:
            return RowsTaken(rows=self.rows, closed=self.closed)
        if self.rows != message.rows or self._digest.hexdigest() != message.sha256:
            raise RigError(f"the rows of {self._name} are not those that it wrote", _FIX)
        self._writer.close()
        self.closed = True
        return RowsTaken(rows=self.rows, closed=True)

    def abandon(self) -> None:
        """Leaves the file incomplete if it is."""
        if not self.closed:
            self._writer.abandon()


def _shifted(values: tuple[int, ...], offset_ns: int) -> tuple[int, ...]:
    """The row with its times in our clock. Zero stays: it means that a time is unknown."""
    return tuple(
        value - offset_ns if is_time and value else value for value, is_time in zip(values, _IS_TIME, strict=True)
    )


_IS_TIME: Final = tuple(name.endswith("_ns") for name, _ in SAMPLES.fields)
