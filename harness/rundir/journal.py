"""faults.ndjson, the journal: what was done to the backends and when, written before and after each act.

The supervisor is the only writer. A fault that is `requested` and not `verified` must be undone after a crash, so a
line is on disk before the act that it announces.

proxies.ndjson beside it is the journal of borrowed proxies: what each was before the run, and when the run disabled it
and enabled it again. After a crash, both together say what is to be undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

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


PROXIES: Final = "proxies.ndjson"


class BorrowedToxic(Frozen):
    """A toxic that is not ours on a borrowed proxy, as the server showed it. `attributes` in Toxiproxy's units."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: dict[str, float] = {}


class BorrowedEntry(Frozen):
    """One line on one borrowed proxy.

    `found`: what it was before the run touched it; the other fields but `detail` are set then. `disabling`, `enabled`:
    the run is about to disable it, or has enabled it again. `changed`: what others did to it meanwhile, in `detail`.
    """

    upstream: str
    proxy: str
    event: Literal["found", "disabling", "enabled", "changed"]
    t_ns: int
    detail: str = ""
    listen: str = ""
    leads_to: str = ""
    enabled: bool = True
    toxics: tuple[BorrowedToxic, ...] = ()


class BorrowedJournal:
    """Append-only, as `Journal` is. The file is created with the first line, since most runs borrow nothing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / PROXIES

    def append(self, entry: BorrowedEntry) -> None:
        """Raises OSError."""
        with self._path.open("ab", buffering=0) as file:
            file.write(entry.model_dump_json().encode() + b"\n")


def read_borrowed(folder: Path) -> Iterator[BorrowedEntry]:
    """Every whole line on borrowed proxies; none if the run borrowed none. Damage raises ValueError."""
    return read_ndjson(folder / PROXIES, BorrowedEntry.model_validate_json, "an entry on a borrowed proxy")


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
