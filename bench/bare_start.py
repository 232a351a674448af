"""How long the same interpreter takes to start and do nothing: what start-up times are quoted in.

Seconds differ from machine to machine, and from hour to hour on one. A bare start measured beside a command differs
with it, so their ratio is what a limit can be set on.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

STARTS: Final = 7
"""Of one measurement; the median counts."""


def bare_start_s(starts: int = STARTS) -> float:
    """Seconds of wall clock for `python -c pass`, the median of some."""
    return statistics.median(_timed_s(_start) for _ in range(starts))


def beside_bare_starts(measure_s: Callable[[], float]) -> tuple[float, float]:
    """What `measure_s` returns, and how many bare starts it is, by those just before and just after."""
    before_s = bare_start_s()
    value_s = measure_s()
    return value_s, value_s / ((before_s + bare_start_s()) / 2)


def _start() -> None:
    subprocess.run([sys.executable, "-c", "pass"], check=True)


def _timed_s(work: Callable[[], None]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s
