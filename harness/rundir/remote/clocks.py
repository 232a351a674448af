"""clocks.ndjson: how the monotonic clocks of workers on other machines compared with ours, during one load.

The master of the load writes it. A worker's clock is asked before, during and after the load by an exchange: we send at
a, the worker reads its clock as w, the answer is here at b. Then its clock is ahead of ours by w − (a + b)/2, give or
take (b − a)/2, however the way there and the way back divide that time (Cristian, 1989). Runs whose workers are on this
machine have no such file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Self

from harness.model.frozen import Frozen
from harness.rundir.ndjson import read_ndjson

FILE: Final = "clocks.ndjson"


class ClockReading(Frozen):
    """One exchange. `when`: `applied` marks the offset that was subtracted from the times in the worker's rows."""

    worker: int
    host: str
    when: Literal["before", "during", "after", "applied"]
    t_ns: int
    """The middle of the exchange, in our monotonic clock."""
    offset_ns: int
    """The worker's clock minus ours."""
    uncertainty_ns: int
    """The offset is right to within this much."""

    @classmethod
    def of_exchange(
        cls,
        worker: int,
        host: str,
        when: Literal["before", "during", "after"],
        *,
        sent_ns: int,
        worker_ns: int,
        received_ns: int,
    ) -> Self:
        middle_ns = (sent_ns + received_ns) // 2
        return cls(
            worker=worker,
            host=host,
            when=when,
            t_ns=middle_ns,
            offset_ns=worker_ns - middle_ns,
            uncertainty_ns=(received_ns - sent_ns + 1) // 2,
        )


class ClockLog:
    """Appends readings, each at once."""

    def __init__(self, run_dir: Path) -> None:
        """Raises OSError."""
        self._file = (run_dir / FILE).open("a", encoding="utf-8", buffering=1)

    def add(self, reading: ClockReading) -> None:
        """Raises OSError."""
        self._file.write(reading.model_dump_json() + "\n")

    def close(self) -> None:
        self._file.close()


def read_clocks(run_dir: Path) -> tuple[ClockReading, ...]:
    """Every reading, in the file's order; none if there is no such file. Raises DamagedLine and OSError."""
    return tuple(read_ndjson(run_dir / FILE, ClockReading.model_validate_json, "a reading of a clock"))
