"""How often each upstream's rows were in the answers, which shows the upstreams that incomplete answers lack.

Only answers that ended ok are counted. An error holds no rows, so with errors every upstream would seem to be missing
equally often, and the one that really is missing would not stand out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from harness.evidence.completeness import asked, expected
from harness.evidence.run import Evidence
from harness.evidence.window import Window


@dataclass(frozen=True, slots=True)
class Presence:
    """How often one upstream was in the answers to some requests."""

    upstream: str
    answers: int
    """Requests that ask it and ended ok."""
    held: int
    """How many of their answers held its rows."""
    expected: int
    """How many of their answers should have held its rows: those without a fault on the upstream meanwhile."""
    missing: int
    """How many of the expected answers lacked its rows."""

    @property
    def share(self) -> float | None:
        """The share of `answers` that held its rows; None without answers."""
        return self.held / self.answers if self.answers else None

    @property
    def expected_share(self) -> float:
        """The share of the expected answers that held its rows; 1 without any."""
        return 1 - self.missing / self.expected if self.expected else 1.0


def presences(of: Iterable[tuple[Evidence, Window]]) -> tuple[Presence, ...]:
    """The presence of every upstream that a request of the windows asks, in the plan's order; all windows together."""
    counts: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
    asked_of: set[str] = set()
    for run, window in of:
        counts = {upstream.name: counts.get(upstream.name, np.zeros(4, np.int64)) for upstream in run.plan.upstreams}
        for _, piece in window.pieces():
            every, ok = asked(run, piece), piece.ok
            bits, due, held = every[ok], expected(run, piece)[ok], piece.samples["answered"][ok]
            asked_by_any = int(np.bitwise_or.reduce(every))
            for upstream in run.plan.upstreams:
                bit = np.uint64(1 << upstream.index)
                if asked_by_any & int(bit):
                    asked_of.add(upstream.name)
                own = [np.count_nonzero(each & bit) for each in (bits, bits & held, due, due & ~held)]
                counts[upstream.name] += np.array(own, np.int64)
    return tuple(Presence(name, *own.tolist()) for name, own in counts.items() if name in asked_of)
