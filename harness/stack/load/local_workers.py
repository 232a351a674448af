"""The Locust workers as child processes. Each is started early and is ready when its ready file exists. Its exit code
and its log say how it ended."""

from __future__ import annotations

import asyncio
import errno
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.rundir import handshake
from harness.rundir.locustfile.notes import LocustfileNote, fatal_note
from harness.rundir.manifest import HarnessFault
from harness.rundir.plan import Plan
from harness.rundir.planned.login import LOGIN_WITHIN_S
from harness.stack.load.token_reader import TokenReader
from harness.stack.load.transport import MASTER, PREFIX
from harness.stack.process_spec import KILL_S, ProcessSpec
from harness.stack.processes.process import ChildProcess
from harness.stack.run_state import DISK_FIX
from scenarios.drive.command import worker_argv

READY_WITHIN_S: Final = 30.0
GRACE_S: Final = 2.0
END_S: Final = GRACE_S + KILL_S
_POLL_S: Final = 0.01
_DISK_FULL: Final = re.compile(rf"\[Errno ({errno.ENOSPC}|{errno.EFBIG}|{errno.EDQUOT})\]")


class LocalWorkers:
    """A `WorkerTransport` whose workers are children of this process and whose messages are files in the run directory.

    `start_child` starts a worker. `on_ready` is called with each worker that is ready to send. `secrets`: where the
    tokens of the workers' sessions are added.
    """

    def __init__(
        self,
        plan: Plan,
        run_dir: Path,
        environ: Mapping[str, str],
        *,
        start_child: Callable[[ProcessSpec], ChildProcess],
        on_ready: Callable[[ChildProcess], None],
        secrets: set[str],
    ) -> None:
        self._run_dir = run_dir
        self._specs = [_spec(run_dir, environ, index) for index in range(plan.load.workers)]
        self._signs_in = plan.load.login is not None
        self._secrets = secrets
        self._tokens: TokenReader | None = None
        self._start_child = start_child
        self._on_ready = on_ready
        self._children: list[ChildProcess] = []
        self._awaits_service = plan.load.awaits_service
        self._service_ready_s: float | None = None

    async def launch(self) -> None:
        self._children = self._started()
        async with asyncio.TaskGroup() as group:
            for index, child in enumerate(self._children):
                group.create_task(self._until_ready(index, child))

    def service_ready(self) -> None:
        self._service_ready_s = time.monotonic()
        handshake.write_service_ready(self._run_dir)

    def start(self, *, start_ns: int, t0_ns: int) -> None:
        handshake.write_start(self._run_dir, start_ns=start_ns, t0_ns=t0_ns)

    def stop(self, at_ns: int) -> None:
        handshake.write_stop(self._run_dir, at_ns=at_ns)

    def alive(self) -> tuple[str, ...]:
        return tuple(child.name for child in self._children if child.alive)

    async def wait(self, within_s: float) -> None:
        if codes := [child.code for child in self._children if child.alive]:
            await asyncio.wait(codes, timeout=within_s)

    async def end(self) -> None:
        await asyncio.gather(*(child.stop(GRACE_S) for child in self._children))
        if self._tokens:
            self._tokens.close()
            self._tokens = None

    def kill_overrunning(self) -> list[HarnessFault]:
        late = [child for child in self._children if child.alive]
        for child in late:
            child.kill()
        return [overran(child) for child in late]

    def rows(self) -> tuple[Path, ...]:
        return tuple(self._run_dir / f"samples-{index}.bin" for index in range(len(self._specs)))

    def _started(self) -> list[ChildProcess]:
        if not self._signs_in:
            return [self._start_child(spec) for spec in self._specs]
        tokens = self._tokens = TokenReader(self._secrets, asyncio.get_running_loop())
        try:
            return [self._start_child(tokens.lent(spec)) for spec in self._specs]
        finally:
            tokens.release_writer()

    async def _until_ready(self, index: int, worker: ChildProcess) -> None:
        launched_s = time.monotonic()
        within_s = READY_WITHIN_S + (LOGIN_WITHIN_S if self._signs_in else 0.0)
        while not handshake.is_ready(self._run_dir, index):
            if not worker.alive:
                if reported := handshake.failure(self._run_dir, index):
                    raise RigError(*reported)
                fault = died(worker)
                raise RigError(fault.message, fault.fix)
            begun_s = self._service_ready_s if self._awaits_service else launched_s
            if begun_s is not None and time.monotonic() - max(begun_s, launched_s) > within_s:
                raise RigError(
                    f"{worker.name} was not ready within {within_s:g} s" + excerpt(worker),
                    f"see {worker.log_place}; the machine may be too busy to start Locust",
                )
            await asyncio.wait([worker.code], timeout=_POLL_S)
        self._on_ready(worker)


def _spec(run_dir: Path, environ: Mapping[str, str], index: int) -> ProcessSpec:
    name = f"{PREFIX}{index}"
    log = run_dir / "logs" / f"{name}.log"
    return ProcessSpec(name, tuple(worker_argv(run_dir, index)), dict(environ), run_dir, log, keep_signals=True)


def died(worker: ChildProcess) -> HarnessFault:
    """The fault of a worker that ended with an error: what it noted of the user's locustfile, else the last line of the
    traceback."""
    note = _fatal_note(worker)
    if note is not None:
        trace = excerpt(worker) if note.kind == "raised" and worker.name != MASTER else ""
        return HarnessFault(check="workers", message=note.said() + trace, fix=note.remedy, part="locustfile")
    code = worker.code.result()
    why = f"signal {-code}" if code < 0 else f"exit code {code}"
    error = last_error(worker.log_tail(200))
    disk = _DISK_FULL.search(error) is not None
    message = f"{worker.name} ended with {why}: {error}"
    if worker.name == MASTER and code > 0:
        message = error.removeprefix("error: ")
    return HarnessFault(
        check="files" if disk else "workers",
        message=message,
        fix=DISK_FIX if disk else f"see {worker.log_place}; if the error is in your locustfile, mend it there",
    )


def _fatal_note(worker: ChildProcess) -> LocustfileNote | None:
    """What the worker noted of the user's locustfile before it ended for it; None: it ended for another reason. The
    master has ended for whatever ended one of its workers."""
    run_dir = worker.spec.cwd
    if worker.name == MASTER:
        return fatal_note(run_dir, range(Plan.read(run_dir).load.workers))
    return fatal_note(run_dir, [int(worker.name.removeprefix(PREFIX))])


def overran(worker: ChildProcess) -> HarnessFault:
    """The fault of a worker that had to be killed."""
    return HarnessFault(
        check="workers",
        message=f"{worker.name} did not end after the last arrival and the drain; it was killed",
        fix=f"see {worker.log_place}; a task of the locustfile may never return",
    )


def last_error(lines: list[str]) -> str:
    """The last line of the last traceback, or the last line of the log if it has no traceback."""
    starts = [number for number, line in enumerate(lines) if "Traceback (most recent call last)" in line]
    if starts:
        for line in lines[starts[-1] + 1 :]:
            if not line.startswith((" ", "\t")):
                return line
    return lines[-1] if lines else "its log is empty"


def excerpt(worker: ChildProcess) -> str:
    """The end of its log, to be appended to a message."""
    return "".join(f"\n  {line}" for line in worker.log_excerpt())
