"""Processes of Linux whose first thread has ended while others go on: it calls them zombies, and yet they live.

Their /proc/PID shows neither environment nor memory, files and namespaces; /proc/PID/task/TID of a thread that goes on
shows them all. Elsewhere no such process can be seen. Changes nothing.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

import psutil

PROC: Final = Path("/proc")
GONE: Final = (errno.ENOENT, errno.ESRCH, errno.EINVAL)
"""What reading there fails with when a process has ended, or is a zombie."""
_SIZE, _RESIDENT = 0, 1
"""Columns of statm, in pages."""


def leader_exited(process: psutil.Process) -> bool:
    """May raise psutil.Error."""
    return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() > 1


def living_thread(pid: int, proc: Path = PROC) -> Path | None:
    """The folder of a thread, not the first one, that still has its memory; None where there is none."""
    try:
        threads = [folder for folder in (proc / str(pid) / "task").iterdir() if folder.name != str(pid)]
    except OSError:
        return None
    return next((folder for folder in threads if _pages(folder, _SIZE)), None)


def environ(thread: Path) -> dict[str, str]:
    """Of a thread's folder. Raises OSError where it may not be read, or has ended."""
    text = (thread / "environ").read_bytes().decode("utf-8", "surrogateescape")
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def rss_bytes(thread: Path) -> int:
    """0 where it has ended."""
    return _pages(thread, _RESIDENT) * os.sysconf("SC_PAGE_SIZE")


def fds(thread: Path) -> int:
    """Raises OSError where they may not be listed."""
    return len(os.listdir(thread / "fd"))  # noqa: PTH208  thousands of them: only their number is asked for


def _pages(thread: Path, column: int) -> int:
    try:
        return int((thread / "statm").read_bytes().split()[column])
    except (OSError, ValueError, IndexError):
        return 0
