"""The yardstick: how long a fixed piece of work takes on this machine now.

All cores work at the same time, so that another program on one of them is noticed. Each core does the work in slices
and the median slice counts, so that a short interruption has no effect. As soon as the slices done so far agree, the
rest is left out to save time. `harness.run.run` measures before the first process of a run is started and after the
last has ended, so that the measurement and the run do not disturb each other.
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
"""Each core does at most this many slices."""
ROUND: Final = 5
"""Each core does this many slices, then this many again until all agree."""
AGREE_WITHIN: Final = 0.05
"""Slices agree if their first and third quartile differ by at most this share of their median."""
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
    """The median duration of a slice times SLICES, in ms of wall clock. Takes 50 to 200 ms on an idle machine."""
    end_ns = clock_ns() + round(LONGEST_S * 1e9)
    slices_ns: list[int] = []
    for _ in range(SLICES // ROUND):
        slices_ns += _slices_ns(ROUND, end_ns, work, clock_ns)
        if clock_ns() > end_ns or _agree(slices_ns):
            break
    return SLICES * statistics.median(slices_ns) / 1e6


def _agree(slices_ns: list[int]) -> bool:
    first_quartile, median, third_quartile = statistics.quantiles(slices_ns, method="inclusive")
    return third_quartile - first_quartile <= AGREE_WITHIN * median


def _slices_ns(count: int, end_ns: int, work: Callable[[], None], clock_ns: Callable[[], int]) -> list[int]:
    """The durations of `count` slices on every core, all cores at the same time. No slice begins after `end_ns`."""
    cores = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MAX_CORES)
    slices_ns: list[int] = []
    begin = threading.Barrier(cores)

    def measure_core() -> None:
        begin.wait()
        for _ in range(count):
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
    return slices_ns
