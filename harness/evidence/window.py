"""The requests of one phase of a run, and how they ended: by outcome, and HTTP errors by their status too."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.evidence.joining.row_table import Places, RowTable, blocks, place_type, places_of
from harness.rundir.results import Ending
from harness.rundir.rows import Outcome

WINDOWS_KEPT_MOST: Final = 4
NEVER: Final = np.iinfo(np.int64).max
"""The latency of a request that did not end ok. It is above every limit."""


@dataclass(frozen=True, slots=True)
class Window:
    """The requests of one phase of one run, in order of intended time.

    `seconds`: how long the phase lasted, without the seconds in which the load generator was late. `cut`: the load was
    stopped before the phase's end, so it is unknown how the missing requests would have ended.
    """

    samples: RowTable
    latency_ns: NDArray[np.int64]
    """Done minus intended time; NEVER unless the request ended ok."""
    place: slice | Places
    """The places of the requests in the evidence's `samples`: a slice if they are one after the other there."""
    seconds: float
    start_ns: int
    end_ns: int
    cut: bool

    def __len__(self) -> int:
        return len(self.samples)

    def only(self, chosen: NDArray[np.bool_]) -> Window:
        """The window with only the chosen requests; its times stay."""
        if chosen.all():
            return self
        samples, latency_ns = self.samples[chosen], self.latency_ns[chosen]
        return replace(self, samples=samples, latency_ns=latency_ns, place=self.places(chosen))

    def places(self, chosen: NDArray[np.bool_]) -> Places:
        """The places of the chosen requests in the evidence's `samples`, ascending."""
        within = places_of(chosen)
        if isinstance(self.place, slice):
            return within + within.dtype.type(self.place.start)
        return self.place[within]

    @property
    def index(self) -> Places:
        """The place of each request in the evidence's `samples`, ascending."""
        if isinstance(self.place, slice):
            return np.arange(self.place.start, self.place.stop, dtype=place_type(self.place.stop))
        return self.place

    def pieces(self) -> Iterator[tuple[slice, Window]]:
        """The window in pieces that are small in memory, each with its place in the window."""
        for block in blocks(len(self)):
            place = self.place
            if isinstance(place, slice):
                piece: slice | Places = slice(place.start + block.start, place.start + block.stop)
            else:
                piece = place[block]
            yield block, replace(self, samples=self.samples[block], latency_ns=self.latency_ns[block], place=piece)

    @property
    def ok(self) -> NDArray[np.bool_]:
        """For each request, whether it ended ok."""
        ok: NDArray[np.bool_] = self.latency_ns != NEVER
        return ok


class RecentWindows:
    """The windows of one run that were asked for last. Those of all gates together may not fit into memory."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Window] = {}

    def get(self, key: Hashable, select: Callable[[], Window]) -> Window:
        """What `select` returns, selected once for all gates and figures that ask for the same `key` in turn."""
        window = self._kept.pop(key, None)
        if window is None:
            window = select()
        self._kept[key] = window  # the latest comes last
        if len(self._kept) > WINDOWS_KEPT_MOST:
            del self._kept[next(iter(self._kept))]
        return window


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
