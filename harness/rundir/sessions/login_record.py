"""logins-<worker>.json: how many sessions a worker had, and how their renewals went.

It contains no token. Nothing here may cost a run its verdict: a record that is missing or damaged counts as none.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from harness.model.frozen import Frozen
from harness.rundir.ndjson import replace_file
from harness.units import format_count, format_things


class LoginRecord(Frozen):
    """The sessions of one worker, or of several together."""

    sessions: int
    """Sessions that signed in before the load."""
    renewals: int = 0
    """Logins during the load, the failed ones included."""
    failed: int = 0
    """Renewals that failed: their sessions kept what they had."""
    reason: str = ""
    """How the first of these failed, for people; without secrets."""

    def notes(self) -> tuple[str, ...]:
        """What an output says of renewals that failed, as a sentence; nothing if none did."""
        if not self.failed:
            return ()
        count = f"{format_count(self.failed)} of {format_things(self.renewals, 'renewal')} of the login failed"
        return (f"{count}, and the sessions kept what they had: the first {self.reason}",)

    def write(self, run_dir: Path, worker: int) -> None:
        """Replaces the record. Raises OSError."""
        replace_file(logins_file(run_dir, worker), self.model_dump_json() + "\n")


def read_logins(run_dir: Path, workers: int) -> LoginRecord | None:
    """The records of all workers together; None if there is none."""
    return together(record for worker in range(workers) for record in _read(run_dir, worker))


def together(records: Iterable[LoginRecord]) -> LoginRecord | None:
    """Their sums, and the first reason; None of no record."""
    found = tuple(records)
    if not found:
        return None
    return LoginRecord(
        sessions=sum(record.sessions for record in found),
        renewals=sum(record.renewals for record in found),
        failed=sum(record.failed for record in found),
        reason=next((record.reason for record in found if record.reason), ""),
    )


def _read(run_dir: Path, worker: int) -> Iterable[LoginRecord]:
    with suppress(OSError, ValueError):
        yield LoginRecord.model_validate_json(logins_file(run_dir, worker).read_bytes())


def logins_file(run_dir: Path, worker: int) -> Path:
    return run_dir / f"logins-{worker}.json"
