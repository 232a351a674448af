"""What is noticed of real origins and of handshakes during one load, counted, for origins.ndjson. Bounded: KINDS_MOST
kinds.

Nothing here may cost a run its verdict: what cannot be written is left out.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from harness.rundir.ndjson import replace_file
from harness.rundir.origin_notes import FILE, TEXT_MOST, OriginNote, OriginNoteKind
from harness.text import one_line

KINDS_MOST: Final = 500


class NoticedOfOrigins:
    """The counts of one process of fakes."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / FILE
        self._calls: dict[tuple[str, OriginNoteKind, str, str], int] = {}
        self._changed = False

    def note(self, upstream: str, kind: OriginNoteKind, text: str, fix: str = "") -> None:
        """Count one call, or one connection."""
        key = upstream, kind, text, fix
        if key in self._calls or len(self._calls) < KINDS_MOST:
            self._calls[key] = self._calls.get(key, 0) + 1
            self._changed = True

    def write(self) -> None:
        """Write the whole file anew if something came since the last time. The old file stays until the new one is
        there."""
        if not self._changed:
            return
        self._changed = False
        with suppress(OSError):
            replace_file(self._path, "".join(f"{note.model_dump_json()}\n" for note in self.notes()))

    def notes(self) -> list[OriginNote]:
        return [
            OriginNote(
                upstream=upstream,
                kind=kind,
                text=one_line(text, TEXT_MOST),
                fix=one_line(fix, TEXT_MOST),
                calls=calls,
            )
            for (upstream, kind, text, fix), calls in self._calls.items()
        ]
