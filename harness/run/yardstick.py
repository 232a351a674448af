"""The yardstick: how long a fixed piece of work takes on this machine now.

All cores work at the same time, so that another program on one of them is noticed. Each core does the work in slices
and the median slice counts, so that a short interruption has no effect. A slice consists of pieces: as soon as almost
all pieces so far took equally long, no other program works here, and the rest is left out to save time. The median of
pieces alone would not do for a busy machine, where other programs take a whole turn of a core between two pieces.
`harness.run` measures before the first process of a run is started and after the last has ended, so that the
measurement and the run do not disturb each other.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

SLICES: Final = 12
"""Each core does at most this many slices."""
COUNTED: Final = 20
"""The figure is that of so many slices."""
PIECES: Final = 5
"""Of one slice."""
ROUND: Final = 2
"""Each core does this many slices, then this many again until the pieces agree."""
AGREE_WITHIN: Final = 0.05
"""Pieces agree if their first and ninth decile differ by at most this share of their median."""
HASHES: Final = 3_600
"""A piece is this many iterations of SHA-256, about 2 ms on the first machine. Runs from before and after a change of
all that is counted (COUNTED, PIECES, HASHES) cannot be compared."""
MAX_CORES: Final = 8
LONGEST_S: Final = 2.0
"""A core starts no further piece after this time, as on a very slow or busy machine; each does at least one."""


def fixed_work() -> None:
    """Work that depends on the processor alone. OpenSSL releases Python's global lock meanwhile."""
    hashlib.pbkdf2_hmac("sha256", b"tailgate", b"yardstick", HASHES)


def measure_ms(work: Callable[[], None] = fixed_work, clock_ns: Callable[[], int] = time.monotonic_ns) -> float:
    """The median duration of a slice times COUNTED, in ms of wall clock. Takes 20 to 120 ms on an idle machine.

    `work` does one piece.
    """
    end_ns = clock_ns() + round(LONGEST_S * 1e9)
    pieces_ns: list[int] = []
    slices_ns: list[float] = []
    for _ in range(SLICES // ROUND):
        for of_core in _round_ns(end_ns, work, clock_ns):
            pieces_ns += of_core
            slices = [of_core[first : first + PIECES] for first in range(0, len(of_core), PIECES)]
            slices_ns += [sum(slice_ns) * PIECES / len(slice_ns) for slice_ns in slices]
        if clock_ns() > end_ns or _agree(pieces_ns):
            break
    return COUNTED * _quantile(slices_ns, 0.5) / 1e6


def _agree(pieces_ns: Sequence[float]) -> bool:
    return _quantile(pieces_ns, 0.9) - _quantile(pieces_ns, 0.1) <= AGREE_WITHIN * _quantile(pieces_ns, 0.5)


def _quantile(values: Sequence[float], share: float) -> float:
    """With linear interpolation. The module `statistics` takes longer to import than this measurement lasts."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = ordered[int(place)]
    above = ordered[min(int(place) + 1, len(ordered) - 1)]
    return below + (above - below) * (place - int(place))


def _round_ns(end_ns: int, work: Callable[[], None], clock_ns: Callable[[], int]) -> list[list[int]]:
    """For each core the durations of the pieces of ROUND slices, all cores at the same time. No piece begins after
    `end_ns`."""
    cores = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MAX_CORES)
    pieces_ns: list[list[int]] = [[] for _ in range(cores)]
    begin = threading.Barrier(cores)

    def measure_core(of_core: list[int]) -> None:
        begin.wait()
        for _ in range(ROUND * PIECES):
            started_ns = clock_ns()
            work()
            ended_ns = clock_ns()
            of_core.append(ended_ns - started_ns)
            if ended_ns > end_ns:
                return

    threads = [
        threading.Thread(target=measure_core, args=(of_core,), name=f"yardstick-{core}", daemon=True)
        for core, of_core in enumerate(pieces_ns)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return pieces_ns
