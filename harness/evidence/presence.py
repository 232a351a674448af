"""How often each upstream was in the answers: who is missing from those that are not complete.

Only answers that are ok are counted. An error holds nobody, so with errors among them every upstream would seem to be
missing in the same share, and the one that really is could not be told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from harness.evidence.completeness import asked, expected
from harness.evidence.run import Evidence, Window


@dataclass(frozen=True, slots=True)
class Presence:
    """One upstream in some requests. `expected` leaves out those during which a fault stood on it."""

    upstream: str
    answers: int
    """Requests that ask it and ended ok."""
    held: int
    """Of these, those whose answer held its rows."""
    expected: int
    missing: int
    """Of the expected, those whose answer lacked it."""

    @property
    def share(self) -> float | None:
        """Of all the answers; None where there was none."""
        return self.held / self.answers if self.answers else None

    @property
    def expected_share(self) -> float:
        """Of the answers that should have held it."""
        return 1 - self.missing / self.expected if self.expected else 1.0


def presences(of: Iterable[tuple[Evidence, Window]]) -> tuple[Presence, ...]:
    """Of the windows together, each upstream that some request of theirs asks, in the plan's order."""
    counts: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
    asked_of: set[str] = set()
    for run, window in of:
        every, ok = asked(run, window), window.ok
        bits, due, held = every[ok], expected(run, window)[ok], window.samples["answered"][ok]
        anybody = int(np.bitwise_or.reduce(every)) if len(every) else 0
        for upstream in run.plan.upstreams:
            bit = np.uint64(1 << upstream.index)
            if anybody & int(bit):
                asked_of.add(upstream.name)
            found = [np.count_nonzero(each & bit) for each in (bits, bits & held, due, due & ~held)]
            counts[upstream.name] = counts.get(upstream.name, np.zeros(4, np.int64)) + np.array(found, np.int64)
    return tuple(Presence(name, *found.tolist()) for name, found in counts.items() if name in asked_of)
