"""origins.ndjson: what the forwarder noticed of real origins, counted: answers that did not come, links past us.

The fakes' process is the only writer (`fake_backends.forwarding.noticed`); judge and reports read it. No verdict on a
whole run depends on it, so a damaged line is skipped, and a missing file counts as nothing noticed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from harness.model.frozen import Frozen
from harness.rundir.ndjson import readable_lines
from harness.units import format_things

FILE: Final = "origins.ndjson"
TEXT_MOST: Final = 200
_READ_MOST: Final = 1_000_000

OriginNoteKind = Literal["no_answer", "link", "redirect"]


class OriginNote(Frozen):
    """One thing that was noticed of one upstream's origin.

    `no_answer`: the origin gave no whole answer, and `text` says how that came; the service's connection was broken off
    as the origin's was. `link`: answers contain a link to the origin itself, so a service that follows it goes past
    the listener. `redirect`: an answer redirects to another host.
    """

    upstream: str
    kind: OriginNoteKind
    text: str
    """For people: `refused the connection`; for links the origin's own address. Sanitized, at most TEXT_MOST
    characters."""
    calls: int

    def sentence(self) -> str:
        calls = format_things(self.calls, "call")
        if self.kind == "no_answer":
            return f"the real {self.upstream} {self.text}: {calls}"
        if self.kind == "redirect":
            return f"{self.upstream} redirects to another host ({calls}), which is asked without tailgate"
        return (
            f"answers of {self.upstream} contain links to {self.text} ({calls}): a service that follows them asks it "
            "without tailgate"
        )


def read_origin_notes(run_dir: Path) -> tuple[OriginNote, ...]:
    """In the file's order; empty where there is no such file."""
    return readable_lines(run_dir / FILE, OriginNote.model_validate_json, bytes_most=_READ_MOST)
