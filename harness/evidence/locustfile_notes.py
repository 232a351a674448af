"""What was noticed of a user's locustfile, in one run or in several together: by the workers, and from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from harness.evidence.run import Evidence
from harness.rundir.locustfile.notes import LocustfileNote
from harness.rundir.rows import Outcome
from harness.units import format_duration

SILENT_SHARE_MOST: Final = 0.01
"""If a larger share of the arrivals sent nothing, the service saw a noticeably lower rate than planned."""
WAITED_SHARE_MOST: Final = 0.01
"""The same for arrivals that waited before their first request."""
WAITED_US: Final = 10_000
"""A shorter wait is not counted."""


def locustfile_notes(runs: Iterable[Evidence]) -> tuple[LocustfileNote, ...]:
    """The notes with their counts added up, in the order in which they came; those from the rows last."""
    runs = tuple(runs)
    found: dict[tuple[str, str, str], LocustfileNote] = {}
    for run in runs:
        for note in (*filter(lambda each: each.is_news, run.locustfile_notes), *_of_rows(run)):
            key = note.kind, note.text if note.kind != "waited" else "", note.where
            before = found.get(key)
            if before is None:
                found[key] = note
            elif note.kind != "ignored":  # each worker ignores the same
                of = None if note.of is None or before.of is None else before.of + note.of
                found[key] = before.model_copy(update={"n": before.n + note.n, "of": of})
    return (*found.values(), *_asks_unseen(runs))


def _asks_unseen(runs: Sequence[Evidence]) -> Iterator[LocustfileNote]:
    """The names in `load.asks` that no request had in any run, if any request came at all: `complete` looks at none of
    them then."""
    came = {name for run in runs for name in run.locustfile_names}
    asks = runs[0].plan.load.locustfile_asks if runs else None
    if came and asks:
        fix = "write the name as Locust reports it: the `name` of the request, else its path"
        yield from (LocustfileNote(kind="asks_unseen", text=name, fix=fix) for name in asks if name not in came)


def _of_rows(run: Evidence) -> Iterator[LocustfileNote]:
    if run.plan.load.locustfile is None:
        return
    first = run.samples[(run.samples["part"] == 0) & (run.samples["intended_ns"] >= run.t0_ns)]
    arrivals, silent = len(first), int(np.count_nonzero(first["outcome"] == Outcome.NO_REQUEST))
    if silent > SILENT_SHARE_MOST * arrivals:
        yield LocustfileNote(kind="no_request", n=silent, of=arrivals)
    waited_us = first["waited_us"][first["waited_us"] >= WAITED_US]
    if len(waited_us) > WAITED_SHARE_MOST * arrivals:
        median_ms, most_ms = float(np.median(waited_us)) / 1000, float(waited_us.max()) / 1000
        users = run.plan.load.max_users
        whom = f"for one of {users} users or in their task" if users else "for a new user or in their task"
        text = f"{whom}: median {format_duration(median_ms)}, at most {format_duration(most_ms)}"
        yield LocustfileNote(kind="waited", text=text, n=len(waited_us), of=arrivals)
