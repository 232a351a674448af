"""Calls of the service to fakes for something that they do not have, in one run or in several together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evidence.joining.row_table import RowTable
from harness.evidence.run import Evidence
from harness.rundir.rows import NO_ROUTE, NO_SEQ
from harness.rundir.unmatched import Unmatched

NAMED_MOST = 3
"""A message lists at most this many kinds of call."""


@dataclass(frozen=True, slots=True)
class CallCounts:
    """How many calls came to one fake or to several, and how many of them matched a route of the fake.

    `others`: calls without a number, which may be probes of the service's own.
    """

    numbered: int = 0
    """Calls that carry the number (`seq`) of the arrival that they belong to."""
    numbered_matched: int = 0
    others: int = 0
    others_matched: int = 0
    arrivals: int = 0
    """How many different arrivals the numbered calls belong to."""

    @classmethod
    def of(cls, calls: NDArray[Any] | RowTable) -> CallCounts:
        """`calls`: rows of `rows.CALLS`, without the calls of canaries."""
        numbered, matched = calls["seq"] != NO_SEQ, calls["route"] != NO_ROUTE
        return cls(
            numbered=int(np.count_nonzero(numbered)),
            numbered_matched=int(np.count_nonzero(numbered & matched)),
            others=int(np.count_nonzero(~numbered)),
            others_matched=int(np.count_nonzero(~numbered & matched)),
            arrivals=len(np.unique(calls["seq"][numbered])),
        )

    @property
    def total(self) -> int:
        return self.numbered + self.others


def unmatched_calls(runs: Iterable[Evidence]) -> tuple[Unmatched, ...]:
    """The unmatched calls by upstream (in the plan's order), method, path and status, the most frequent first.

    The line that sums up an upstream's remaining calls (without a path) comes after its other lines.
    """
    counts: dict[tuple[str, str | None, str | None, int | None], Unmatched] = {}
    order: dict[str, int] = {}
    for run in runs:
        order |= {upstream.name: upstream.index for upstream in run.plan.upstreams}
        for line in run.unmatched:
            key = line.upstream, line.method, line.path, line.status
            before = counts[key].calls if key in counts else 0
            counts[key] = line.model_copy(update={"calls": before + line.calls})
    known = [line for line in counts.values() if line.upstream in order]
    return tuple(
        sorted(known, key=lambda line: (order[line.upstream], line.path is None, -line.calls, line.asked, line.status))
    )


def named_in_vain(run: Evidence, upstream: str) -> str:
    """A bracket on an upstream's unmatched calls, ` (GET /v2/offers: 404 to 312 calls)`; empty without a record."""
    lines = [line for line in unmatched_calls([run]) if line.upstream == upstream]
    listed = [f"{line.asked}: {line.answered()}" for line in lines[:NAMED_MOST]]
    more = [f"{len(lines) - NAMED_MOST} more"] if len(lines) > NAMED_MOST else []
    return f" ({', '.join([*listed, *more])})" if listed else ""
