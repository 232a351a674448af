"""resources.ndjson: once a second, what each child costs in CPU, memory, threads and open files.

One line a child. The service's descendants are included: one that forks workers is one service. A
figure that the system does not tell is null. Who was stopped by a signal (SIGSTOP) or runs out of files
is told, and so is a run directory that somebody has removed. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from harness.errors import RigError
from harness.manifest import RigFault
from harness.stack import open_files, sut
from harness.stack.child import Child

PERIOD_S: Final = 1.0
LOOKS: Final = 2
"""In a row: a process that somebody stops for a moment only is none of our business."""


async def sample_forever(
    path: Path,
    children: Callable[[], Iterable[Child]],
    on_stopped: Callable[[Child], None],
    trouble: Callable[[RigFault], None],
) -> None:
    """Until cancelled; `on_stopped` hears of a child once. Raises OSError where the file takes no more, RigError
    where it was removed."""
    looks: Counter[str] = Counter()
    with path.open("ab", buffering=0) as file:
        next_s = time.monotonic()
        while True:
            if not os.fstat(file.fileno()).st_nlink:
                raise RigError("the run directory was removed while the run was on", "keep it until the run is over")
            for child in tuple(children()):
                if not (family := _family(child)):
                    continue
                looks[child.name] = looks[child.name] + 1 if any(map(_is_stopped, family)) else 0
                if looks[child.name] == LOOKS:
                    on_stopped(child)
                line = measure(child, family)
                if child.spec.raise_limits and open_files.almost_full(line.fds):
                    trouble(open_files.full(child.name, line.fds or 0))
                file.write(json.dumps(asdict(line)).encode() + b"\n")
            next_s = max(next_s + PERIOD_S, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())


@dataclass(frozen=True, slots=True)
class Line:
    """What a child costs at one moment; `fds` is None where the system does not tell."""

    t_ns: int
    child: str
    pid: int
    cpu_s: float
    rss_bytes: int
    threads: int
    fds: int | None


def _family(child: Child) -> list[psutil.Process]:
    """The child, and its descendants where it may have any; none once it is gone."""
    try:
        leader = psutil.Process(child.pid)
        # looking for descendants reads the whole process table
        return [leader, *leader.children(recursive=True)] if child.name == sut.NAME else [leader]
    except psutil.Error:
        return []


def _is_stopped(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def measure(child: Child, family: Iterable[psutil.Process]) -> Line:
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
    return Line(
        t_ns=time.monotonic_ns(),
        child=child.name,
        pid=child.pid,
        cpu_s=round(cpu_s, 3),
        rss_bytes=rss_bytes,
        threads=threads,
        fds=fds if fds_known else None,
    )
