"""What the forwarder noticed of real origins, in one run or in several together."""

from __future__ import annotations

from collections.abc import Iterable

from harness.evidence.run import Evidence
from harness.rundir.origin_notes import OriginNote


def origin_notes(runs: Iterable[Evidence]) -> tuple[OriginNote, ...]:
    """The notes with their calls added up, by upstream in the plan's order, the most frequent first."""
    calls: dict[tuple[str, str, str], OriginNote] = {}
    order: dict[str, int] = {}
    for run in runs:
        order |= {upstream.name: upstream.index for upstream in run.plan.upstreams}
        for note in run.origin_notes:
            key = note.upstream, note.kind, note.text
            before = calls[key].calls if key in calls else 0
            calls[key] = note.model_copy(update={"calls": before + note.calls})
    known = [note for note in calls.values() if note.upstream in order]
    return tuple(sorted(known, key=lambda note: (order[note.upstream], -note.calls, note.kind, note.text)))
