"""How requests ended, counted: outcomes, HTTP errors by their status. Facts only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from harness.rundir.results import Ending
from harness.rundir.rows import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.evidence.run import Window


def endings_of(chosen: Iterable[tuple[Window, NDArray[np.bool_]]]) -> tuple[Ending, ...]:
    """Of the chosen requests of these windows (0/1 for each), the commonest ending first.

    One that ended ok is `slow`: whoever chose it did so for its latency.
    """
    counts: dict[tuple[int, int], int] = {}
    for window, which in chosen:
        rows = window.samples[which]
        codes = rows["outcome"].astype(np.int64) << 16 | rows["status"]
        for code, n in zip(*np.unique(codes, return_counts=True), strict=True):
            outcome = int(code) >> 16
            status = int(code) & 0xFFFF if outcome == Outcome.HTTP_ERROR else 0
            counts[outcome, status] = counts.get((outcome, status), 0) + int(n)
    found = [
        Ending(outcome="slow" if outcome == Outcome.OK else Outcome(outcome).name.lower(), status=status or None, n=n)
        for (outcome, status), n in counts.items()
    ]
    return tuple(sorted(found, key=lambda ending: (-ending.n, ending.outcome, ending.status or 0)))
