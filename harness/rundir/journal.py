"""faults.ndjson, the journal: what was done to the backends and when, written before and after each act.

The supervisor is the only writer. A fault that is `requested` and not `verified` must be undone after a crash, so a
line is on disk before the act that it announces.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from harness.model.frozen import Frozen
from harness.rundir.ndjson import read_ndjson

Event = Literal["requested", "applied", "observed", "removing", "removed", "verified", "failed", "ready"]
"""`ready`: a process that a fault had ended or stopped answers again."""


class Entry(Frozen):
    """`window` counts the fault's windows from 0; `detail` is for people, `proof` figures for the judge."""

    fault: str
    window: int
    upstream: str
    event: Event
    t_ns: int
    detail: str = ""


class Journal:
    """Append-only; each line is flushed to the kernel before `append` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def append(self, entry: Entry) -> None:
        self._file.write(entry.model_dump_json().encode() + b"\n")

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> Iterator[Entry]:
    """Every whole line. Skips a last line that a power cut has cut short; other damage raises ValueError."""
    return read_ndjson(path, Entry.model_validate_json, "a journal entry")
