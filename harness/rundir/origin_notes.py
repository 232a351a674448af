"""origins.ndjson: what the fakes' process noticed besides calls, counted: of real origins answers that did not come and
links past us, of listeners in TLS handshakes that failed.

The fakes' process is the only writer (`fake_backends.forwarding.noticed`); judge and reports read it. No figure of a
run depends on it, so a damaged line is skipped, and a missing file counts as nothing noticed.
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

OriginNoteKind = Literal["no_answer", "link", "redirect", "no_connection", "too_many", "handshake", "unasked", "errors"]
OF_HANDSHAKES: Final = ("handshake", "unasked")
"""The kinds that tell why a service that connects is not heard."""


class OriginNote(Frozen):
    """One thing that was noticed of one upstream: of its origin, or of connections of the service to its listener.

    `no_answer`: the origin gave no whole answer, and `text` says how that came; the service's connection was broken off
    as the origin's was. `link`: answers contain a link to the origin itself, so a service that follows it goes past
    the listener. `redirect`: an answer redirects to another host.

    Where no calls are seen, connections count: `no_connection`: the origin of a protocol that is not HTTP took none,
    and `text` says why. `too_many`: tailgate broke them off, because `text` of them were open already. `handshake`: the
    service's TLS with the listener failed, and `text` is the reason, a clause about the service. `unasked`: the service
    connected before any fault, and no call came in the whole run. `errors`: before any fault the real origin gave
    nearly every call the same status from 400 on, which is `text`. The judge adds the last two.
    """

    upstream: str
    kind: OriginNoteKind
    text: str
    """For people: `refused the connection`; for links the origin's own address. Sanitized, at most TEXT_MOST
    characters."""
    fix: str = ""
    """What to do about it, a clause; empty: nothing that is known."""
    calls: int
    """How many calls, or connections."""

    def sentence(self) -> str:
        return f"{self.said()}; fix: {self.fix}" if self.fix else self.said()

    def said(self) -> str:
        """Without what to do about it."""
        calls, connections = format_things(self.calls, "call"), format_things(self.calls, "connection")
        if self.kind == "no_connection":
            return f"the real {self.upstream} {self.text}: {connections}, those of canaries among them"
        if self.kind == "too_many":
            return f"tailgate reset {connections} to {self.upstream}, because {self.text} were open already"
        if self.kind == "handshake":
            failed = format_things(self.calls, "TLS handshake")
            return f"{failed} of the service with the listener of {self.upstream} failed: {self.text}"
        if self.kind == "unasked":
            return (
                f"the service opened {connections} to the listener of {self.upstream} before any fault, and no request "
                "came over one in the whole run"
            )
        if self.kind == "errors":
            return (
                f"the real {self.upstream} answered {calls} with status {self.text} before any fault, and hardly any "
                "otherwise: the run does not show what the service does with good answers"
            )
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
