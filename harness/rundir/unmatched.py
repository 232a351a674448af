"""unmatched.ndjson: the service's calls that a fake does not support, and how often each was made.

The fakes' process is the only writer (`fake_backends.unmatched`); judge and reports read it. No verdict on a whole run
depends on it, so a damaged line is skipped, and a missing file counts as no such calls.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.model.frozen import Frozen
from harness.rundir.ndjson import readable_lines
from harness.units import format_things

FILE: Final = "unmatched.ndjson"
KINDS_MOST: Final = 50
"""Different calls that are counted separately for one upstream; further ones are counted together."""
PATH_MOST: Final = 200
METHOD_MOST: Final = 20
_READ_MOST: Final = 4_000_000
"""Bytes: sixty-four upstreams with all their lines need half of it."""


class Unmatched(Frozen):
    """Calls of one kind. `method`, `path` and `status` are null where all kinds beyond KINDS_MOST are counted."""

    upstream: str
    method: str | None
    path: str | None
    """Without its query string, sanitized, at most PATH_MOST characters."""
    status: int | None
    """The fake's answer unless a fault changes it: 404, 405, or 400 for an invalid query or body."""
    calls: int
    """The number of calls, with those of the warm-up and without canaries."""
    speaks: str = ""
    """What the fake supports: `a fake of the provider generic speaks GET /offers?cursor=`."""
    nearest: str = ""
    """Of a fake with routes: the name of the route that is most like the call."""

    @property
    def asked(self) -> str:
        """`GET /v2/offers`, or `other paths` for all kinds beyond KINDS_MOST."""
        return "other paths" if self.path is None else f"{self.method} {self.path}"

    def answered(self) -> str:
        """`404 to 312 calls`."""
        calls = format_things(self.calls, "call")
        return calls if self.status is None else f"{self.status} to {calls}"


def read_unmatched(run_dir: Path) -> tuple[Unmatched, ...]:
    """In the file's order; empty where there is no such file."""
    return readable_lines(run_dir / FILE, Unmatched.model_validate_json, bytes_most=_READ_MOST)
