"""resources.ndjson: once a second, what each child costs in CPU, memory, threads and open files.

One line a child. The service's descendants are included: one that forks workers is one service. A
figure that the system does not tell is null. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import psutil

from harness.stack import sut
from harness.stack.child import Child

PERIOD_S: Final = 1.0


async def sample_forever(path: Path, children: Callable[[], Iterable[Child]]) -> None:
    """Until cancelled. Raises OSError where the file takes no more."""
    with path.open("ab", buffering=0) as file:
        next_s = time.monotonic()
        while True:
            for child in tuple(children()):
                if line := measure(child):
                    file.write(json.dumps(line).encode() + b"\n")
            next_s = max(next_s + PERIOD_S, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())


def measure(child: Child) -> dict[str, str | int | float | None] | None:
    """None once the child is gone."""
    try:
        leader = psutil.Process(child.pid)
        # looking for descendants reads the whole process table, so only where there may be any
        family = [leader, *leader.children(recursive=True)] if child.name == sut.NAME else [leader]
    except psutil.Error:
        return None
    cpu_s, rss_bytes, threads, fds = 0.0, 0, 0, 0
    fds_known = True
    for process in family:
        try:
            with process.oneshot():
                times = process.cpu_times()
                cpu_s += times.user + times.system
                rss_bytes += process.memory_info().rss
                threads += process.num_threads()
        except psutil.Error:
            continue  # gone between two lines
        try:
            fds += process.num_fds()
        except (psutil.Error, OSError):
            fds_known = False
    return {
        "t_ns": time.monotonic_ns(),
        "child": child.name,
        "pid": child.pid,
        "cpu_s": round(cpu_s, 3),
        "rss_bytes": rss_bytes,
        "threads": threads,
        "fds": fds if fds_known else None,
    }
