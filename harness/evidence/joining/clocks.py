"""How far the clocks of workers on other machines can be trusted, from the exchanges in clocks.ndjson.

Each exchange bounds a worker's offset at its own time: it lies within `uncertainty_ns` of `offset_ns`. Two monotonic
clocks drift apart by no more than `DRIFT` (the kernel slews a clock by at most 500 ppm), so each bound holds, widened
by the drift, at every other time too. The intersection of all of them is the offset (Marzullo, 1984): its middle is the
estimate, half its width the uncertainty. An empty intersection shows that a clock jumped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.rundir.remote.clocks import ClockReading

DRIFT = 500e-6


@dataclass(frozen=True, slots=True, eq=False)
class WorkerClock:
    """One worker's clock. The arrays have one entry for each exchange, and for each middle between two of them.

    `offset_ns`: what it was ahead of ours by, beyond the offset that its rows were shifted by when they came.
    """

    worker: int
    host: str
    applied_ns: int
    t_ns: NDArray[np.int64]
    offset_ns: NDArray[np.float64]
    uncertainty_ns: NDArray[np.float64]

    @property
    def jumped(self) -> bool:
        """Whether no offset fits all exchanges."""
        return bool((self.uncertainty_ns < 0).any())

    def worst_ns(self, begin_ns: int, end_ns: int) -> float:
        """The largest uncertainty from `begin_ns` to `end_ns`, in our clock."""
        at = np.asarray([begin_ns, end_ns])
        ends = np.interp(at, self.t_ns, self.uncertainty_ns)
        outside = np.maximum(0, np.maximum(self.t_ns[0] - at, at - self.t_ns[-1])) * DRIFT
        within = self.uncertainty_ns[(self.t_ns >= begin_ns) & (self.t_ns <= end_ns)]
        return float(max((ends + outside).max(), within.max(initial=0)))

    def corrected(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        """A copy of its rows with the known times moved by the offset at the intended time of each.

        All times of a row move by the same amount, so that latencies remain those of one clock.
        """
        moved = np.array(rows)
        by = np.round(np.interp(moved["intended_ns"], self.t_ns, self.offset_ns)).astype(np.int64)
        for name in ("intended_ns", "sent_ns", "first_ns", "done_ns"):
            known = moved[name] != 0
            moved[name][known] -= by[known]
        return moved


def clocks_of(readings: Sequence[ClockReading]) -> dict[int, WorkerClock]:
    """The clock of each worker that has an applied offset and an exchange, by the worker's number."""
    applied = {each.worker: each for each in readings if each.when == "applied"}
    clocks = {}
    for worker, base in applied.items():
        own = sorted(
            (each for each in readings if each.worker == worker and each.when != "applied"), key=lambda each: each.t_ns
        )
        if own:
            clocks[worker] = _clock(base, own)
    return clocks


def _clock(base: ClockReading, own: Sequence[ClockReading]) -> WorkerClock:
    asked = np.array([each.t_ns for each in own], dtype=np.int64)
    middles = (asked[:-1] + asked[1:]) // 2
    t_ns = np.concatenate([asked, middles])
    offset = np.array([each.offset_ns - base.offset_ns for each in own], dtype=np.float64)
    within_exchange = 1 + DRIFT  # a clock is read at some moment of its exchange, and drifts until the middle of it
    uncertainty = np.array([each.uncertainty_ns for each in own], dtype=np.float64) * within_exchange
    unknown = np.full(len(middles), np.inf)
    low = np.concatenate([offset - uncertainty, -unknown])
    high = np.concatenate([offset + uncertainty, unknown])
    order = np.argsort(t_ns, kind="stable")
    t_ns, low, high = t_ns[order], low[order], high[order]
    step = np.diff(t_ns) * DRIFT
    for i in range(1, len(t_ns)):
        low[i] = max(low[i], low[i - 1] - step[i - 1])
        high[i] = min(high[i], high[i - 1] + step[i - 1])
    for i in range(len(t_ns) - 2, -1, -1):
        low[i] = max(low[i], low[i + 1] - step[i])
        high[i] = min(high[i], high[i + 1] + step[i])
    return WorkerClock(base.worker, base.host, base.offset_ns, t_ns, (low + high) / 2, (high - low) / 2)
