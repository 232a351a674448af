"""How long the threads of a child were ready to run and waited for a core: the kernel's run delay.

`/proc/PID/schedstat` is about the first thread alone, so those of all threads (`/proc/PID/task/*/schedstat`) are
added. What a thread waited between the last sample and its end is missed. Linux only; reads, never judges.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from harness.stack.processes.procfs import PROC
from harness.units import NS_PER_S

_RAN, _WAITED = 0, 1
"""Columns of `schedstat`, in ns (Documentation/scheduler/sched-stats of Linux)."""
_FOLDER: Final = "task"


class RunDelays:
    """Adds up the run delay of each child, over threads and processes that come and go."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._known = _counts(proc / "self")
        self._seen: dict[str, dict[tuple[int, str], int]] = {}
        """What each thread (pid and thread id) of a child had waited at the last sample, in ns."""
        self._total_ns: dict[str, int] = {}

    def total_s(self, child: str, pids: Iterable[int]) -> float | None:
        """The seconds that the threads of these processes have waited, added up since the child started, with threads
        that were seen earlier and have ended. None if this kernel does not count them, or not for all of them."""
        if not self._known:
            return None
        seen: dict[tuple[int, str], int] = {}
        for pid in pids:
            threads = self._waited_ns(pid)
            if threads is None:
                return None
            seen |= {(pid, thread): waited_ns for thread, waited_ns in threads.items()}
        last = self._seen.get(child, {})
        grown = sum(max(0, waited_ns - last.get(thread, 0)) for thread, waited_ns in seen.items())
        self._seen[child] = seen
        self._total_ns[child] = self._total_ns.get(child, 0) + grown
        return round(self._total_ns[child] / NS_PER_S, 3)

    def _waited_ns(self, pid: int) -> dict[str, int] | None:
        """By thread. Empty if the process has ended, None if it may not be read."""
        folder = self._proc / str(pid) / _FOLDER
        found: dict[str, int] = {}
        try:
            for thread in os.listdir(folder):  # noqa: PTH208  there may be thousands
                try:
                    found[thread] = _figures(folder / thread)[_WAITED]
                except (FileNotFoundError, ProcessLookupError):
                    continue  # this thread has ended
        except (FileNotFoundError, ProcessLookupError):
            return {}
        except (OSError, ValueError, IndexError):
            return None
        return found


def _counts(folder: Path) -> bool:
    """Whether the kernel counts: one that was built or started without it has no such file, or gives zeros."""
    try:
        return _figures(folder)[_RAN] > 0
    except (OSError, ValueError, IndexError):
        return False


def _figures(folder: Path) -> list[int]:
    return [int(figure) for figure in (folder / "schedstat").read_bytes().split()]
