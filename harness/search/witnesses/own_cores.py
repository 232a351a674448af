"""How many cores the service may use: by its affinity and its cgroup, which are tailgate's own."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

CPU_MAX: Final = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Those of `allowed_cores`, as a whole number."""
    return max(1, round(allowed_cores()))


def allowed_cores(cpu_max: Path = CPU_MAX) -> float:
    """The cores that this process and its children may use: its affinity, or its cgroup's quota if that is less."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    with suppress(OSError, ValueError):
        quota, period = cpu_max.read_text().split()
        if quota != "max":
            cores = min(cores, int(quota) / int(period))
    return cores


def has_quota(cpu_max: Path = CPU_MAX) -> bool:
    """Whether a quota allows less than the cores that there are; then their use says nothing of what is left."""
    return allowed_cores(cpu_max) < allowed_cores(Path(os.devnull))
