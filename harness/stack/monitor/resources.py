"""resources.ndjson: once a second, what each child costs in CPU, memory, threads, open files and sockets.

One line a child. The service's descendants are included: one that forks workers is one service, also where a
worker has detached itself. A figure that the system does not tell is null; sockets are counted of the service alone.
Looking is a thread's work, so that neither a service with thousands of sockets nor a system that hangs holds up the
supervisor; a look that comes late says so by its `t_ns`. Who was stopped by a signal (SIGSTOP) or runs out of files is
told, and so is a run directory that somebody has removed. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

import psutil

from harness.errors import RigError
from harness.rundir.manifest import HarnessFault
from harness.stack.monitor.sockets import SocketCounter
from harness.stack.processes import fd_limits, procfs, service
from harness.stack.processes.detached import Detached
from harness.stack.processes.process import ChildProcess
from harness.stack.threads import in_thread

Number = TypeVar("Number", int, float)

PERIOD_S: Final = 1.0
LOOK_S: Final = 5.0
"""A look that has not come back by then is not waited for."""
LOOKS: Final = 2
"""In a row: a process that somebody stops for a moment only is none of our business."""


async def sample_forever(
    path: Path,
    children: Callable[[], Iterable[ChildProcess]],
    on_stopped: Callable[[ChildProcess], None],
    trouble: Callable[[HarnessFault], None],
) -> None:
    """Until cancelled; `on_stopped` hears of a child once. Raises OSError where the file takes no more, RigError
    where it was removed."""
    looks: Counter[str] = Counter()
    watcher = ResourceSampler()
    with path.open("ab", buffering=0) as file:
        next_s = time.monotonic()
        while True:
            if not os.fstat(file.fileno()).st_nlink:
                raise RigError("the run directory was removed while the run was on", "keep it until the run is over")
            for child, line, stopped in await watcher.look([child for child in children() if child.alive]):
                looks[child.name] = looks[child.name] + 1 if stopped else 0
                if looks[child.name] == LOOKS:
                    on_stopped(child)
                if child.spec.raise_limits and fd_limits.almost_full(line.fds):
                    trouble(fd_limits.full(child.name, line.fds or 0))
                file.write(json.dumps(asdict(line)).encode() + b"\n")
            next_s = max(next_s + PERIOD_S, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """What a child costs at one moment; a figure is None where the system does not tell it of all its processes.

    `t_ns`: when the look began. `sockets`: how many TCP sockets are in each state that occurs.
    """

    t_ns: int
    child: str
    pid: int
    cpu_s: float | None
    rss_bytes: int | None
    threads: int | None
    fds: int | None
    sockets: dict[str, int] | None


Seen = tuple[ChildProcess, ResourceSample, bool]
"""A child, what it costs, and whether a signal has stopped any process of it."""


class ResourceSampler:
    """Looks at children in a thread, one look at a time: a system that hangs gets no second thread."""

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._counter = SocketCounter()
        self._detached = Detached()

    async def look(self, children: Iterable[ChildProcess]) -> list[Seen]:
        """Nothing of who has ended meanwhile; nothing at all while a look does not come back."""
        watched = tuple(children)
        try:
            return await in_thread(lambda: self._look(watched), LOOK_S)
        except TimeoutError:
            return []

    def _look(self, children: Sequence[ChildProcess]) -> list[Seen]:
        if not self._looking.acquire(blocking=False):
            return []
        try:
            others = [child for child in children if child.name != service.NAME]
            families = [(child, self._family(child, others)) for child in children]
            seen = [
                (child, measure(child, each, self._counter), any(map(_is_stopped, each))) for child, each in families
            ]
            return [(child, line, stopped) for child, line, stopped in seen if line.threads != 0]  # it has ended
        finally:
            self._looking.release()

    def _family(self, child: ChildProcess, others: Sequence[ChildProcess]) -> list[psutil.Process]:
        """The child, and of the service whatever it has started; none once the child is gone."""
        try:
            leader = psutil.Process(child.pid)
            if child.name != service.NAME:
                return [leader]  # looking for descendants reads the whole process table
            tree = [leader, *leader.children(recursive=True)]
        except psutil.Error:
            return []
        return [*tree, *self._detached.of(child, {process.pid for process in tree}, others)]


def _is_stopped(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def measure(child: ChildProcess, family: Sequence[psutil.Process], counter: SocketCounter) -> ResourceSample:
    """One whose figures are all 0 has ended. A figure that one of the family does not tell is None of all together."""
    t_ns = time.monotonic_ns()  # before the first figure: none of them is of an earlier moment than the line says
    told = [figures for process in family if (figures := _figures(process)) is not None]
    cpu_s = _sum(each.cpu_s for each in told)
    return ResourceSample(
        t_ns=t_ns,
        child=child.name,
        pid=child.pid,
        cpu_s=None if cpu_s is None else round(cpu_s, 3),
        rss_bytes=_sum(each.rss_bytes for each in told),
        threads=_sum(each.threads for each in told),
        fds=_sum(each.fds for each in told),
        sockets=counter.count([process.pid for process in family]) if child.name == service.NAME else None,
    )


@dataclass(frozen=True, slots=True)
class _Figures:
    """Of one process; None is what the system does not tell."""

    cpu_s: float | None
    rss_bytes: int | None
    threads: int | None
    fds: int | None


def _figures(process: psutil.Process) -> _Figures | None:
    """None of one that has ended."""
    try:
        with process.oneshot():
            thread = procfs.living_thread(process.pid) if procfs.leader_exited(process) else None
            cpu_s, threads = _told(lambda: _cpu_s(process)), _told(process.num_threads)
            if thread is not None:
                return _Figures(cpu_s, procfs.rss_bytes(thread), threads, _told(lambda: procfs.fds(thread)))
            if process.status() == psutil.STATUS_ZOMBIE:
                return _Figures(cpu_s, 0, 0, 0)  # dead, and waits for its parent: it holds nothing
            return _Figures(cpu_s, _told(lambda: process.memory_info().rss), threads, _told(process.num_fds))
    except psutil.NoSuchProcess:
        return None
    except (psutil.Error, OSError):
        return _Figures(None, None, None, None)


def _cpu_s(process: psutil.Process) -> float:
    """With that of descendants that have ended, or the sum would fall when a worker is replaced."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _told(look: Callable[[], Number]) -> Number | None:
    """Raises psutil.NoSuchProcess of one that has ended."""
    try:
        return look()
    except psutil.NoSuchProcess:
        raise
    except (psutil.Error, OSError):
        return None


def _sum(figures: Iterable[Number | None]) -> Number | None:
    """None where one is: a part would pass for the whole."""
    total: Number = 0
    for figure in figures:
        if figure is None:
            return None
        total += figure
    return total
