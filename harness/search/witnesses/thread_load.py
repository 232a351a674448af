"""How busy the service's busiest thread is: the witness of a limit of one core, such as an event loop.

Reads `/proc/PID/task/TID/stat` of every process of the service's tree. Where there is no `/proc`, nothing is known.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

from harness.units import NS_PER_S

_UTIME, _STIME = 11, 12
"""Places after the command's closing bracket, in clock ticks (proc(5): utime and stime)."""


class ThreadLoad:
    """Two readings of every thread, at the beginning and near the end of a span of time. `pid`: of the service."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._first: dict[int, float] = {}
        self._first_ns = 0
        self._last: dict[int, float] = {}
        self._last_ns = 0

    def look(self, begin_ns: int, end_ns: int) -> None:
        """Take a reading if the time is within [begin, end)."""
        now_ns = time.monotonic_ns()
        if self._pid is None or not begin_ns <= now_ns < end_ns:
            return
        if not self._first:
            self._first, self._first_ns = _cpu_s(self._pid), now_ns
        else:
            self._last, self._last_ns = _cpu_s(self._pid), now_ns

    @property
    def busiest(self) -> float | None:
        """The share of a core that the busiest thread used between both readings; None if there were no two."""
        seconds = (self._last_ns - self._first_ns) / NS_PER_S
        used = [self._last[thread] - self._first[thread] for thread in self._last if thread in self._first]
        return max(used) / seconds if used and seconds > 0 else None


def _cpu_s(pid: int) -> dict[int, float]:
    """The processor seconds of every thread of the process and its descendants, by thread id."""
    try:
        process = psutil.Process(pid)
        pids = [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.Error:
        return {}
    ticks = os.sysconf("SC_CLK_TCK")
    found: dict[int, float] = {}
    for each in pids:
        for stat in Path(f"/proc/{each}/task").glob("*/stat"):
            try:
                figures = stat.read_text().rpartition(")")[2].split()
                found[int(stat.parent.name)] = (int(figures[_UTIME]) + int(figures[_STIME])) / ticks
            except (OSError, ValueError, IndexError):
                continue  # the thread has just ended
    return found
