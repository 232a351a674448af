"""Counts how requests ended: by outcome, and HTTP errors by their status too."""

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
    """The endings of the chosen requests, the commonest first. `chosen`: windows, each with a mask of its requests.

    A request that ended ok is counted as `slow`, because only its latency can be the reason to choose it.
    """
    counts: dict[tuple[int, int], int] = {}
    for window, which in chosen:
        rows = window.samples[which]
        codes = rows["outcome"].astype(np.int64) << 16 | rows["status"]
        for code, n in zip(*np.unique(codes, return_counts=True), strict=True):
            outcome = int(code) >> 16
            status = int(code) & 0xFFFF if outcome == Outcome.HTTP_ERROR else 0
            counts[outcome, status] = counts.get((outcome, status), 0) + int(n)
    endings = [
        Ending(outcome="slow" if outcome == Outcome.OK else Outcome(outcome).name.lower(), status=status or None, n=n)
        for (outcome, status), n in counts.items()
    ]
    return tuple(sorted(endings, key=lambda ending: (-ending.n, ending.outcome, ending.status or 0)))
