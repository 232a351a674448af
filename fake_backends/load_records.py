"""The settings by which the fakes answer during one load, and what they record of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fake_backends.forwarding.noticed import NoticedOfOrigins
from fake_backends.unmatched import UnmatchedCalls
from harness.correlation import CANARY_HEADER, SEQ_HEADER, TRACE_HEADER, seq_of
from harness.rundir.planned.fault import PlannedFault
from harness.rundir.rows import LOGIN_SEQ, NO_SEQ, RowWriter

if TYPE_CHECKING:
    from fake_backends.backend import Backend

_CANARY: Final = CANARY_HEADER.encode()
_SEQ: Final = SEQ_HEADER.encode()
_TRACE: Final = TRACE_HEADER.encode()


@dataclass(slots=True)
class LoadRecords:
    """One load. `run` is its hash (`harness.correlation.run_hash`), `first_seq` the number of its first arrival.

    Calls that come after `close` are answered as before and leave no record.
    """

    backends: Mapping[int, Backend]
    """By the port of each; a process that listens on every address is asked at any of them."""
    rows: RowWriter
    unmatched: UnmatchedCalls
    noticed: NoticedOfOrigins
    run: str
    faults: Sequence[PlannedFault] = ()
    first_seq: int = 0
    is_closed: bool = False

    def caller(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, bool]:
        """The number of the arrival within this load, or LOGIN_SEQ or NO_SEQ, and whether the call is a canary.

        The plain header takes precedence over the trace header. A number below `first_seq` belongs to an earlier load,
        on whose request the service is still working.
        """
        plain = traced = None
        canary = False
        for name, value in headers:
            if name == _SEQ and value.isdigit():
                plain = int(value)
            elif name == _TRACE:
                traced = seq_of(self.run, value.decode("latin-1"))
            elif name == _CANARY:
                canary = True
        sent = plain if plain is not None else traced
        if sent == LOGIN_SEQ and not canary:
            return LOGIN_SEQ, False
        if canary or sent is None or not 0 <= sent - self.first_seq < NO_SEQ:
            return NO_SEQ, canary
        return sent - self.first_seq, canary

    def flush(self) -> None:
        """May raise OSError."""
        if not self.is_closed:
            self.rows.flush()
            self.unmatched.write()
            self.noticed.write()

    def close(self) -> None:
        """Write everything, and the footer of the row file. Idempotent. May raise OSError."""
        if not self.is_closed:
            self.is_closed = True
            self.unmatched.write()
            self.noticed.write()
            self.rows.close()
