"""Reads Linux processes whose first thread has ended while others go on: Linux calls them zombies, but they live.

Their /proc/PID shows no environment, memory, files or namespaces; /proc/PID/task/TID of a living thread shows all of
them. Other systems do not show such processes. This module only reads.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

import psutil

PROC: Final = Path("/proc")
GONE: Final = (errno.ENOENT, errno.ESRCH, errno.EINVAL)
"""The errors of reading in /proc when a process has ended or is a zombie."""
_SIZE, _RESIDENT = 0, 1
"""Columns of `statm`; the values are in pages."""


def leader_exited(process: psutil.Process) -> bool:
    """Whether the first thread has ended while others go on. Raises psutil.Error."""
    return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() > 1


def living_thread(pid: int, proc: Path = PROC) -> Path | None:
    """The /proc folder of a thread, other than the first, that still has its memory; None if there is none."""
    try:
        threads = [folder for folder in (proc / str(pid) / "task").iterdir() if folder.name != str(pid)]
    except OSError:
        return None
    return next((folder for folder in threads if _pages(folder, _SIZE)), None)


def environ(thread: Path) -> dict[str, str]:
    """The environment, from a thread's folder. Raises OSError if it may not be read, or the thread has ended."""
    text = (thread / "environ").read_bytes().decode("utf-8", "surrogateescape")
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def rss_bytes(thread: Path) -> int:
    """The resident memory in bytes, from a thread's folder; 0 if the thread has ended."""
    return _pages(thread, _RESIDENT) * os.sysconf("SC_PAGE_SIZE")


def fds(thread: Path) -> int:
    """The number of open files, from a thread's folder. Raises OSError if they may not be listed."""
    return len(os.listdir(thread / "fd"))  # noqa: PTH208  there may be thousands, and only their number is needed


def _pages(thread: Path, column: int) -> int:
    try:
        return int((thread / "statm").read_bytes().split()[column])
    except (OSError, ValueError, IndexError):
        return 0
