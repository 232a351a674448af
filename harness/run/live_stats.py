"""The figures of a run under way, from its row files: rate, errors and p99 so far.

Workers append to their row files at least once a second. This reads only what was added since the last time, so neither
the display nor `--fail-fast` costs the load generator anything. Nothing is judged here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.rundir.rows import SAMPLES, Outcome, RowLayout

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECENT_NS = 5_000_000_000
"""The rate is computed over this time."""
FIRST_ROWS = 4096
"""Rows for which there is room at first."""
FLUSH_NS = 1_000_000_000
"""Workers append at least this often, so a request that ended more recently may not be on disk yet."""


@dataclass(slots=True)
class RowTail:
    """Reads a row file to which rows are still appended. `read` returns the complete rows since the last `read`."""

    path: Path
    layout: RowLayout = SAMPLES
    offset: int = 0

    def read(self) -> NDArray[Any]:
        import numpy as np

        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            data = b""
        complete = len(data) // self.layout.size * self.layout.size
        self.offset += complete
        return np.frombuffer(data[:complete], dtype=self.layout.dtype())


@dataclass(slots=True)
class LiveSamples:
    """The samples of all workers so far, ordered by file and not by time."""

    run_dir: Path
    workers: int
    _tails: list[RowTail] = field(init=False)
    _buffer: NDArray[Any] | None = field(init=False, default=None)
    """Twice as long whenever it is full, so that a row is copied once or twice in however long a run."""
    _used: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._tails = [RowTail(self.run_dir / f"samples-{index}.bin") for index in range(self.workers)]

    def update(self) -> NDArray[Any]:
        """Read the new rows, and return all rows so far."""
        import numpy as np

        buffer = np.empty(FIRST_ROWS, SAMPLES.dtype()) if self._buffer is None else self._buffer
        for tail in self._tails:
            rows = tail.read()
            end = self._used + len(rows)
            if end > len(buffer):
                longer = np.empty(max(end, 2 * len(buffer)), buffer.dtype)
                longer[: self._used] = buffer[: self._used]
                buffer = longer
            buffer[self._used : end] = rows
            self._used = end
        self._buffer = buffer
        return buffer[: self._used]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Figures at one moment, of the first requests of arrivals intended since some time.

    `rate_per_s`: requests that ended per second, recently. `p99_ms`: +inf if the request at that rank failed, None
    without requests.
    """

    n: int
    rate_per_s: float
    errors: int
    gateway_timeouts: int
    p99_ms: float | None


def snapshot(rows: NDArray[Any], *, since_ns: int, now_ns: int, before_ns: int | None = None) -> Snapshot:
    """The figures of `rows` for arrivals intended since `since_ns`, and before `before_ns` if that is given; the rate
    is that of the last five seconds which are surely on disk."""
    import numpy as np

    window = rows[(rows["intended_ns"] >= since_ns) & (rows["part"] == 0) & (rows["outcome"] != Outcome.NO_REQUEST)]
    if before_ns is not None:
        window = window[window["intended_ns"] < before_ns]
    until_ns = now_ns - FLUSH_NS
    recent = (rows["done_ns"] >= until_ns - RECENT_NS) & (rows["done_ns"] < until_ns)
    p99_ms: float | None = None
    if len(window):
        latency = (window["done_ns"] - window["intended_ns"]) / 1e6
        latency[window["outcome"] != Outcome.OK] = np.inf
        rank = max(0, int(np.ceil(0.99 * len(latency))) - 1)
        p99_ms = float(np.partition(latency, rank)[rank])
    return Snapshot(
        n=len(window),
        rate_per_s=float(np.count_nonzero(recent)) / (RECENT_NS / 1e9),
        errors=int(np.count_nonzero(window["outcome"] != Outcome.OK)),
        gateway_timeouts=int(np.count_nonzero(window["outcome"] == Outcome.GATEWAY_TIMEOUT)),
        p99_ms=p99_ms,
    )
