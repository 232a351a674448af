"""resources.ndjson: what each child costs in CPU, memory, threads, open files and sockets, sampled once a second.

Each sample of a child is one line, and one more is about the machine: what others than the run used of the cores that
the service may use. The service's line includes its descendants: a service that forks workers is one service, even if a
worker has detached itself. A figure that the system does not give is null; sockets are counted for
the service alone. A thread takes the samples, so that neither a service with thousands of sockets nor a system that
hangs delays the supervisor; the `t_ns` of a late sample shows that it is late. A child that was stopped by a signal
(SIGSTOP) or runs out of files is reported, and so is a run directory that was removed. Nothing is judged here.

The command of an upstream may be a wrapper that starts the real server as another process. So an upstream counts as
stopped if any process of its session is.
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
from harness.rundir.manifest import UPSTREAM_PREFIX, HarnessFault
from harness.stack.monitor.machine_cpu import MachineCpu, MachineSample
from harness.stack.monitor.process_table import INIT
from harness.stack.monitor.run_delay import RunDelays
from harness.stack.monitor.sockets import SocketCounter
from harness.stack.processes import fd_limits, procfs, service, session
from harness.stack.processes.detached import Detached
from harness.stack.processes.process import ChildProcess
from harness.stack.threads import in_thread

Number = TypeVar("Number", int, float)

PERIOD_S: Final = 1.0
SAMPLE_WITHIN_S: Final = 5.0
"""How long a sample may take before it is given up."""
STOPPED_SAMPLES: Final = 2
"""Samples in a row after which a stopped child is reported: one that is stopped only for a moment does not matter."""


async def sample_forever(
    path: Path,
    children: Callable[[], Iterable[ChildProcess]],
    on_stopped: Callable[[ChildProcess], None],
    trouble: Callable[[HarnessFault], None],
) -> None:
    """Sample until cancelled. `on_stopped` is called once for a stopped child. Raises OSError if the file cannot be
    written, RigError if it was removed."""
    times_stopped: Counter[str] = Counter()
    sampler = ResourceSampler()
    with path.open("ab", buffering=0) as file:
        next_s = time.monotonic()
        while True:
            if not os.fstat(file.fileno()).st_nlink:
                raise RigError("the run directory was removed during the run", "keep it until the run is over")
            for child, line, stopped in await sampler.look([child for child in children() if child.alive]):
                times_stopped[child.name] = times_stopped[child.name] + 1 if stopped else 0
                if times_stopped[child.name] == STOPPED_SAMPLES:
                    on_stopped(child)
                if child.spec.raise_limits and fd_limits.almost_full(line.fds):
                    trouble(fd_limits.full(child.name, line.fds or 0))
                file.write(json.dumps(asdict(line)).encode() + b"\n")
            if machine := sampler.take_machine():
                file.write(json.dumps(asdict(machine)).encode() + b"\n")
            next_s = max(next_s + PERIOD_S, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """What a child costs at one moment. A figure is None if the system does not give it for all of the child's
    processes.

    `t_ns`: when the sample began. `sockets`: how many TCP sockets are in each state that occurs. `run_delay_s`: how
    long its threads, added up, were ready to run and waited for a core.
    """

    t_ns: int
    child: str
    pid: int
    cpu_s: float | None
    rss_bytes: int | None
    threads: int | None
    fds: int | None
    sockets: dict[str, int] | None
    run_delay_s: float | None = None
    log_bytes: int | None = None
    """The size of its log, which only the service's has here."""


Seen = tuple[ChildProcess, ResourceSample, bool]
"""A child, its sample, and whether a signal has stopped any of its processes that no fault of the plan has stopped."""


class ResourceSampler:
    """Samples children in a thread, one sample at a time: if the system hangs, no second thread is started."""

    def __init__(self) -> None:
        self._sampling = threading.Lock()
        self._counter = SocketCounter()
        self._detached = Detached()
        self._delays = RunDelays()
        self._cpu = MachineCpu()
        self._machine: MachineSample | None = None

    def take_machine(self) -> MachineSample | None:
        """The machine's figures of the last sample, once; None if that sample did not come back."""
        machine, self._machine = self._machine, None
        return machine

    async def look(self, children: Iterable[ChildProcess]) -> list[Seen]:
        """Samples of the children that have not ended meanwhile. Empty if this sample or an earlier one does not come
        back."""
        watched = tuple(children)
        try:
            return await in_thread(lambda: self._look(watched), SAMPLE_WITHIN_S)
        except TimeoutError:
            return []

    def _look(self, children: Sequence[ChildProcess]) -> list[Seen]:
        if not self._sampling.acquire(blocking=False):
            return []
        try:
            others = [child for child in children if child.name != service.NAME]
            # read before the states of the processes: a planned fault sets it before SIGSTOP and takes it back after
            # SIGCONT, so in this order a planned stop is never reported
            planned = {child.pid for child in children if child.planned}
            families = [(child, self._family(child, others)) for child in children]
            seen = [
                (
                    child,
                    measure(child, each, self._counter, self._delays),
                    child.pid not in planned and any(map(_is_stopped, _watched_for_stop(child, each))),
                )
                for child, each in families
            ]
            self._machine = self._cpu.sample(_pids_of_run(families), _pids_of_service(families))
            # a child without threads has ended
            return [(child, line, stopped) for child, line, stopped in seen if line.threads != 0]
        finally:
            self._sampling.release()

    def _family(self, child: ChildProcess, others: Sequence[ChildProcess]) -> list[psutil.Process]:
        """The child's process, and for the service also whatever it has started. Empty once the child is gone."""
        try:
            leader = psutil.Process(child.pid)
            if child.name != service.NAME:
                return [leader]  # looking for descendants reads the whole process table
            tree = [leader, *leader.children(recursive=True)]
        except psutil.Error:
            return []
        return [*tree, *self._detached.of(child, {process.pid for process in tree}, others)]


Families = Sequence[tuple[ChildProcess, list[psutil.Process]]]
"""Each child with its processes that a sample includes."""


def _pids_of_run(families: Families) -> set[int]:
    """Tailgate, the supervisor (this process), its children, and what the service has detached."""
    pids = {os.getpid(), os.getppid(), *(child.pid for child, _ in families)}
    return (pids | {process.pid for _, family in families for process in family}) - {
        INIT
    }  # our parent, once tailgate has ended


def _pids_of_service(families: Families) -> list[int]:
    return [process.pid for child, family in families if child.name == service.NAME for process in family]


def _watched_for_stop(child: ChildProcess, family: list[psutil.Process]) -> list[psutil.Process]:
    """The processes that are looked at for SIGSTOP: if one of them is stopped, the child counts as stopped."""
    return session.members(child.pid) if child.name.startswith(UPSTREAM_PREFIX) else family


def _is_stopped(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def measure(
    child: ChildProcess, family: Sequence[psutil.Process], counter: SocketCounter, delays: RunDelays
) -> ResourceSample:
    """A sample of one child. If it has ended, all figures are 0. A figure that one of its processes does not give is
    None for all of them together."""
    t_ns = time.monotonic_ns()  # before the first figure, so that none is older than the line says
    known = [figures for process in family if (figures := _figures(process)) is not None]
    cpu_s = _sum(each.cpu_s for each in known)
    return ResourceSample(
        t_ns=t_ns,
        child=child.name,
        pid=child.pid,
        cpu_s=None if cpu_s is None else round(cpu_s, 3),
        rss_bytes=_sum(each.rss_bytes for each in known),
        threads=_sum(each.threads for each in known),
        fds=_sum(each.fds for each in known),
        sockets=counter.count([process.pid for process in family]) if child.name == service.NAME else None,
        run_delay_s=delays.total_s(child.name, [process.pid for process in family]),
        log_bytes=_size(child.spec.log) if child.name == service.NAME else None,
    )


def _size(log: Path) -> int | None:
    try:
        return log.stat().st_size
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class _Figures:
    """Figures of one process; None if the system does not give one."""

    cpu_s: float | None
    rss_bytes: int | None
    threads: int | None
    fds: int | None


def _figures(process: psutil.Process) -> _Figures | None:
    """None if the process has ended."""
    try:
        with process.oneshot():
            thread = procfs.living_thread(process.pid) if procfs.leader_exited(process) else None
            cpu_s, threads = _or_none(lambda: _cpu_s(process)), _or_none(process.num_threads)
            if thread is not None:  # psutil takes a process whose main thread has ended for a zombie
                return _Figures(cpu_s, procfs.rss_bytes(thread), threads, _or_none(lambda: procfs.fds(thread)))
            if process.status() == psutil.STATUS_ZOMBIE:
                return _Figures(cpu_s, 0, 0, 0)  # dead, and waits for its parent: it uses nothing
            return _Figures(cpu_s, _or_none(lambda: process.memory_info().rss), threads, _or_none(process.num_fds))
    except psutil.NoSuchProcess:
        return None
    except (psutil.Error, OSError):
        return _Figures(None, None, None, None)


def _cpu_s(process: psutil.Process) -> float:
    """In seconds, with descendants that have ended: otherwise the sum would fall when a worker is replaced."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _or_none(look: Callable[[], Number]) -> Number | None:
    """The figure; None if the system does not give it. Raises psutil.NoSuchProcess if the process has ended."""
    try:
        return look()
    except psutil.NoSuchProcess:
        raise
    except (psutil.Error, OSError):
        return None


def _sum(figures: Iterable[Number | None]) -> Number | None:
    """None if any figure is None: a part would look like the whole."""
    total: Number = 0
    for figure in figures:
        if figure is None:
            return None
        total += figure
    return total
