"""unmatched.ndjson: what the service asked a fake for that the fake does not have, and how often.

The fakes' process is the only writer (`fake_backends.unmatched`); judge and reports read. No verdict rests on it, so a
line that is damaged is passed over, and a run without the file tells nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.rundir.ndjson import readable_lines
from harness.rundir.plan import Frozen
from harness.units import format_things

FILE: Final = "unmatched.ndjson"
KINDS_MOST: Final = 50
"""Different calls that are told apart for one upstream; the others are counted together."""
PATH_MOST: Final = 200
METHOD_MOST: Final = 20
_READ_MOST: Final = 4_000_000
"""Bytes: sixty-four upstreams with all their lines need half of it."""


class Unmatched(Frozen):
    """Calls of one kind. `method`, `path` and `status` are null in the one that counts all kinds beyond KINDS_MOST."""

    upstream: str
    method: str | None
    path: str | None
    """Without its query string, legible, at most PATH_MOST characters."""
    status: int | None
    """What the fake has for it where no fault breaks its answers: 404, 405, or 400 for a query or a body."""
    calls: int
    """Those of the warm-up too; canaries are none."""
    speaks: str = ""
    """What it does have: `a fake of the provider generic speaks GET /offers?cursor=`."""

    @property
    def asked(self) -> str:
        """`GET /v2/offers`; of the one that counts the rest, that it does."""
        return "other paths" if self.path is None else f"{self.method} {self.path}"

    def answered(self) -> str:
        """`404 to 312 calls`."""
        calls = format_things(self.calls, "call")
        return calls if self.status is None else f"{self.status} to {calls}"


def read_unmatched(run_dir: Path) -> tuple[Unmatched, ...]:
    """In the file's order; empty where there is no such file."""
    return readable_lines(run_dir / FILE, Unmatched.model_validate_json, bytes_most=_READ_MOST)
