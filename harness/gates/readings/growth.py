"""How much a counter of the service grew for each request: growth between readings ÷ requests that ended between them.

Requests are counted between the same moments as the growth, so a reading that is missing costs nothing. A stretch that
touches a second in which the load generator was late is left out on both sides. Where the counter fell, a process has
ended and took its figure with it: then the growth is at least what was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evidence import Evidence
from harness.gates.exceedance import InconclusiveReason
from harness.rundir.finding_kind import FindingKind
from harness.rundir.rows import Outcome
from harness.units import NS_PER_S, Span


@dataclass(frozen=True, slots=True)
class Growth:
    """How much a counter grew while `requests` ended, in the counter's unit. `fell`: it is at least so much."""

    total: float
    requests: int
    readings: int
    fell: bool

    @property
    def each(self) -> float:
        """The growth for each request, of which there is at least one."""
        return self.total / self.requests


def growth(run: Evidence, t_ns: NDArray[Any], values: NDArray[Any]) -> Growth:
    """The growth of a counter over its readings, arrays of shape (readings,) in order of time."""
    left_out = _left_out(run)
    never_sent = np.isin(run.samples["outcome"], (Outcome.DROPPED, Outcome.NO_REQUEST))
    ended_ns = np.sort(run.samples["done_ns"][~never_sent])
    total, requests, fell = 0.0, 0, False
    for (begin_ns, before), (end_ns, after) in pairwise(zip(t_ns.tolist(), values.tolist(), strict=True)):
        stretch = Span(begin_ns, end_ns)
        if any(stretch.overlap_ns(span) for span in left_out):
            continue
        total += increase(before, after)
        fell |= after < before
        requests += int(np.searchsorted(ended_ns, end_ns) - np.searchsorted(ended_ns, begin_ns))
    return Growth(total, requests, len(t_ns), fell)


def increase(before: float, after: float) -> float:
    """A counter that fell has lost what it counted, so it grew by nothing that is known."""
    return max(0.0, after - before)


def total_growth(parts: Sequence[Growth], phase: str) -> Growth | InconclusiveReason:
    """The growth in all runs together; a reason if no request ended in the phase."""
    requests = sum(part.requests for part in parts)
    if not requests:
        return InconclusiveReason(FindingKind.NO_ARRIVALS, f"no request ended in the phase `{phase}`")
    total, readings = sum(part.total for part in parts), sum(part.readings for part in parts)
    return Growth(total, requests, readings, any(part.fell for part in parts))


def _left_out(run: Evidence) -> list[Span]:
    """Late seconds of the load generator with the one after each, and when a fault kept the service from running."""
    late = [Span(run.t0_ns + second * NS_PER_S, run.t0_ns + (second + 2) * NS_PER_S) for second in run.bad_seconds]
    return [*late, *run.planned_absences]
