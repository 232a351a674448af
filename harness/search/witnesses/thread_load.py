"""How busy the service's busiest thread is: the witness of a limit of one core, such as an event loop.

The threads of an interpreter with a global lock run one at a time, so all those of one process count as one thread.
Reads `/proc/PID/stat`, and `stat` and `schedstat` in `/proc/PID/task/TID`, of every process of the service's tree.
Where there is no `/proc`, nothing is known.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from harness.units import NS_PER_S

GLOBAL_LOCK: Final = re.compile(r"(python|pypy|ruby)[\d.]*")
"""The executables of interpreters whose threads share a lock. That of a Python without one ends in `t`."""
LOCKED_MOST: Final = 1.1
"""A process that used more cores than this ran threads side by side, in code that lets go of the lock."""
_UTIME, _STIME = 11, 12
"""Places after the command's closing bracket, in clock ticks (proc(5): utime and stime)."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """Processor seconds until `at_ns` by thread id, and by process id where the threads of a process share a lock.
    `waited`: seconds for which a thread could run and had no core."""

    at_ns: int
    threads: dict[int, float] = field(default_factory=dict)
    waited: dict[int, float] = field(default_factory=dict)
    locked: dict[int, float] = field(default_factory=dict)
    of_locked: dict[int, int] = field(default_factory=dict)
    """By thread: the process whose lock it shares."""


@dataclass(frozen=True, slots=True)
class BusiestThread:
    """`busy`: the share of a core that it used; `waited`: of the time in which it could run and had no core."""

    busy: float
    waited: float


class ThreadLoad:
    """Two readings of every thread, at the beginning and near the end of a span of time. `pid`: of the service."""

    def __init__(self, pid: int | None, proc: Path = Path("/proc")) -> None:
        self._pid = pid
        self._proc = proc
        self._first: _Reading | None = None
        self._last: _Reading | None = None

    def look(self, begin_ns: int, end_ns: int) -> None:
        """Take a reading if the time is within [begin, end)."""
        now_ns = time.monotonic_ns()
        if self._pid is not None and begin_ns <= now_ns < end_ns:
            self.take(_tree(self._pid), now_ns)

    def take(self, pids: Iterable[int], now_ns: int) -> None:
        """The first reading, or one that replaces the last. `pids`: of the service's processes."""
        reading = _reading(pids, now_ns, self._proc)
        if self._first is None:
            self._first = reading
        else:
            self._last = reading

    @property
    def busiest(self) -> BusiestThread | None:
        """The thread that used most of a core between both readings; None if there were no two."""
        first, last = self._first, self._last
        if first is None or last is None or last.at_ns <= first.at_ns:
            return None
        seconds = (last.at_ns - first.at_ns) / NS_PER_S
        waited = _shares(first.waited, last.waited, seconds)
        found = [
            BusiestThread(busy, waited.get(thread, 0.0))
            for thread, busy in _shares(first.threads, last.threads, seconds).items()
        ]
        for pid, busy in _shares(first.locked, last.locked, seconds).items():
            if busy <= LOCKED_MOST:
                together = sum(share for thread, share in waited.items() if last.of_locked.get(thread) == pid)
                found.append(BusiestThread(busy, min(together, max(0.0, 1 - busy))))
        return max(found, key=lambda each: each.busy, default=None)


def _shares(first: dict[int, float], last: dict[int, float], seconds: float) -> dict[int, float]:
    """The share of the time of each that is in both readings, which are so far apart."""
    return {each: (last[each] - first[each]) / seconds for each in last if each in first}


def _tree(pid: int) -> list[int]:
    """The process and its descendants."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return []


def _reading(pids: Iterable[int], now_ns: int, proc: Path) -> _Reading:
    reading = _Reading(now_ns)
    for pid in pids:
        folder = proc / str(pid)
        has_lock = _has_global_lock(folder)
        for stat in folder.glob("task/*/stat"):
            thread = int(stat.parent.name)
            if (used_s := _processor_s(stat)) is not None:
                reading.threads[thread] = used_s
            if (waited_s := _waited_s(stat.with_name("schedstat"))) is not None:
                reading.waited[thread] = waited_s
            if has_lock:
                reading.of_locked[thread] = pid
        if has_lock and (used_s := _processor_s(folder / "stat")) is not None:
            reading.locked[pid] = used_s  # with that of its threads which have ended
    return reading


def _processor_s(stat: Path) -> float | None:
    """None: the thread or the process has just ended."""
    try:
        figures = stat.read_text().rpartition(")")[2].split()
        return (int(figures[_UTIME]) + int(figures[_STIME])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _waited_s(schedstat: Path) -> float | None:
    """None: it has just ended, or the kernel does not say."""
    try:
        return int(schedstat.read_text().split()[1]) / NS_PER_S
    except (OSError, ValueError, IndexError):
        return None


def _has_global_lock(folder: Path) -> bool:
    try:
        return GLOBAL_LOCK.fullmatch((folder / "exe").readlink().name) is not None
    except OSError:
        return False
