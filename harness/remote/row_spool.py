"""A worker's rows on their way to the master: the row file on its own disk is the spool.

Rows stay in the file until the master has acknowledged them, so nothing is lost when a connection breaks: what was sent
and not acknowledged in time is sent again from the last acknowledged row on.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.remote.messages import ROWS_BYTES_MOST, Rows, RowsEnd, RowsTaken
from harness.rundir.rows import SAMPLES
from harness.units import NS_PER_S

RESEND_NS: Final = 2 * NS_PER_S
"""Without an acknowledgement for this long, unacknowledged rows are sent again."""
AHEAD_MOST: Final = 16 * ROWS_BYTES_MOST
"""So many bytes may be under way without an acknowledgement."""
_BATCH: Final = ROWS_BYTES_MOST // SAMPLES.size * SAMPLES.size


class RowSpool:
    """Reads one growing row file. Times are `now_ns` of any one monotonic clock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sent = 0
        """In bytes, as all positions here."""
        self._taken = 0
        self._heard_ns: int | None = None
        self._end_sent = False
        self.closed = False
        """The master's file is complete."""

    def next(self, now_ns: int) -> list[Rows | RowsEnd]:
        """What to send now. Raises OSError if the file cannot be read, RigError if its footer is damaged."""
        if self.closed:
            return []
        if self._heard_ns is None or (self._sent == self._taken and not self._end_sent):
            self._heard_ns = now_ns
        elif now_ns - self._heard_ns >= RESEND_NS:
            self._sent, self._end_sent, self._heard_ns = self._taken, False, now_ns
        messages: list[Rows | RowsEnd] = []
        footer = self._footer()  # before the rows: what is written later is in the file by then
        while self._sent - self._taken < AHEAD_MOST and (data := self._read()):
            messages.append(Rows(first=self._sent // SAMPLES.size, data=data, sha256=hashlib.sha256(data).hexdigest()))
            self._sent += len(data)
        if footer and not self._end_sent and self._sent == footer.rows * SAMPLES.size:
            messages.append(footer)
            self._end_sent = True
        return messages

    def taken(self, message: RowsTaken, now_ns: int) -> None:
        """The master has acknowledged rows."""
        position = message.rows * SAMPLES.size
        if position > self._taken or message.closed:
            self._heard_ns = now_ns
        self._taken = max(self._taken, position)
        self._sent = max(self._sent, self._taken)
        self.closed = self.closed or message.closed

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(self._sent)
                data = file.read(_BATCH)
        except FileNotFoundError:
            return b""
        return data[: len(data) // SAMPLES.size * SAMPLES.size]

    def _footer(self) -> RowsEnd | None:
        end = self._path.with_name(self._path.name + ".end")
        try:
            footer = json.loads(end.read_text(encoding="utf-8"))
            return RowsEnd(rows=footer["rows"], sha256=footer["sha256"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as exc:
            raise RigError(f"{end.name} is not a footer") from exc
