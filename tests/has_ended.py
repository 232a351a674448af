"""Whether a process is over, asked so that it may vanish at any moment between two questions."""

from __future__ import annotations

import psutil


def has_ended(process: psutil.Process | int) -> bool:
    """Whether it has ended, also where nobody has waited for it yet."""
    try:
        found = psutil.Process(process) if isinstance(process, int) else process
        return not found.is_running() or found.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return True
