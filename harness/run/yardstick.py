"""The yardstick: how long a fixed piece of work takes on this machine now.

All cores work at the same time, so that another program on one of them is noticed. Each core does the work in slices
and the median slice counts, so that a short interruption has no effect. `harness.run.run` measures before the first
process of a run is started and after the last has ended, so that the measurement and the run do not disturb each other.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import threading
import time
from collections.abc import Callable
from typing import Final

SLICES: Final = 20
"""Each core does this many slices."""
HASHES: Final = 18_000
"""A slice is this many iterations of SHA-256, about 10 ms on the first machine. Runs from before and after a change of
this number cannot be compared."""
MAX_CORES: Final = 8
LONGEST_S: Final = 2.0
"""A core starts no further slice after this time, as on a very slow or busy machine; each does at least one."""


def fixed_work() -> None:
    """Work that depends on the processor alone. OpenSSL releases Python's global lock meanwhile."""
    hashlib.pbkdf2_hmac("sha256", b"tailgate", b"yardstick", HASHES)


def measure_ms(work: Callable[[], None] = fixed_work, clock_ns: Callable[[], int] = time.monotonic_ns) -> float:
    """The median duration of a slice times SLICES, in ms of wall clock. Takes about 200 ms on an idle machine."""
    cores = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MAX_CORES)
    slices_ns: list[int] = []
    begin = threading.Barrier(cores)

    def measure_core() -> None:
        begin.wait()
        end_ns = clock_ns() + round(LONGEST_S * 1e9)
        for _ in range(SLICES):
            started_ns = clock_ns()
            work()
            ended_ns = clock_ns()
            slices_ns.append(ended_ns - started_ns)
            if ended_ns > end_ns:
                return

    threads = [threading.Thread(target=measure_core, name=f"yardstick-{core}", daemon=True) for core in range(cores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return SLICES * statistics.median(slices_ns) / 1e6
