"""How long a run takes around its load on this machine: the start of the stack, its end, judging and reports.

Most of that time is Python starting and importing. So it is a number of starts of the same interpreter, which are timed
when they are asked for: seconds differ from machine to machine, and from hour to hour on one.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Final

STARTS_AROUND: Final = 200
"""A run with eight upstreams lasts this many bare starts longer than its load (docs/benchmarks.md)."""
STARTS_TIMED: Final = 15
QUICK_SHARE: Final = 4
"""The start that a quarter of them beat is taken: what else the machine does in this moment does not last a run."""
LONGEST_START_S: Final = 10.0


def around_load_s() -> float:
    """Seconds of wall clock; times a few bare starts, so it takes a quarter of a second."""
    return STARTS_AROUND * statistics.quantiles((_start_s() for _ in range(STARTS_TIMED)), n=QUICK_SHARE)[0]


def _start_s() -> float:
    start_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True, timeout=LONGEST_START_S)
    return time.perf_counter() - start_s
