"""The Locust workers as children: started early, ready when they say so, their end read from code and log."""

from __future__ import annotations

import asyncio
import errno
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.errors import RigError
from harness.rundir import handshake
from harness.rundir.manifest import HarnessFault
from harness.rundir.plan import Plan
from harness.stack.processes.process import ChildProcess, ProcessSpec
from harness.stack.run_state import DISK_FIX
from scenarios.drive.command import worker_argv

PREFIX: Final = "locust-"
READY_WITHIN_S: Final = 30.0
GRACE_S: Final = 2.0
_POLL_S: Final = 0.01
_DISK_FULL: Final = re.compile(rf"\[Errno ({errno.ENOSPC}|{errno.EFBIG}|{errno.EDQUOT})\]")


def specs(plan: Plan, run_dir: Path, environ: Mapping[str, str]) -> list[ProcessSpec]:
    return [
        ProcessSpec(
            f"{PREFIX}{index}",
            tuple(worker_argv(run_dir, index)),
            dict(environ),
            run_dir,
            run_dir / "logs" / f"{PREFIX}{index}.log",
            keep_signals=True,
        )
        for index in range(plan.load.workers)
    ]


async def ready(run_dir: Path, index: int, worker: ChildProcess) -> float:
    """Milliseconds until the worker waits for the start. Raises RigError."""
    begin = time.monotonic()
    while not handshake.is_ready(run_dir, index):
        if not worker.alive:
            fault = died(worker)
            raise RigError(fault.message, fault.fix)
        if time.monotonic() - begin > READY_WITHIN_S:
            raise RigError(
                f"{worker.name} was not ready within {READY_WITHIN_S:g} s" + _excerpt(worker),
                f"see {worker.log_place}; the machine may be too busy to start Locust",
            )
        await asyncio.wait([worker.code], timeout=_POLL_S)
    return (time.monotonic() - begin) * 1000


def died(worker: ChildProcess) -> HarnessFault:
    """A worker that ended with an error: what its traceback ends in, which names the user's mistake if it is one."""
    code = worker.code.result()
    why = f"signal {-code}" if code < 0 else f"exit code {code}"
    error = last_error(worker.log_tail(200))
    disk = _DISK_FULL.search(error) is not None
    return HarnessFault(
        check="files" if disk else "workers",
        message=f"{worker.name} ended with {why}: {error}",
        fix=DISK_FIX if disk else f"see {worker.log_place}; if the error is in your locustfile, mend it there",
    )


def overran(worker: ChildProcess) -> HarnessFault:
    return HarnessFault(
        check="workers",
        message=f"{worker.name} did not end after the last arrival and the drain; it was killed",
        fix=f"see {worker.log_place}; a task of the locustfile may never return",
    )


def last_error(lines: list[str]) -> str:
    """The last line of the last traceback, else the last line of the log."""
    starts = [number for number, line in enumerate(lines) if "Traceback (most recent call last)" in line]
    if starts:
        for line in lines[starts[-1] + 1 :]:
            if not line.startswith((" ", "\t")):
                return line
    return lines[-1] if lines else "its log is empty"


def _excerpt(worker: ChildProcess) -> str:
    return "".join(f"\n  {line}" for line in worker.log_excerpt())
