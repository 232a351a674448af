"""One child process: it has its own session and log file, its end is noticed at once, its whole group is killed.

This module does not know what the child is for. When the child itself has ended, no member of its process group stays
alive. Every stop has a time limit.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from harness.errors import RigError
from harness.rundir.manifest import part_of
from harness.stack.child_log import EXCERPT_LINES, log_excerpt, log_tail
from harness.stack.process_spec import KILL_S, ProcessSpec
from harness.stack.standby.child import raise_open_files
from harness.units import NS_PER_MS


@dataclass(slots=True, eq=False)
class ChildProcess:
    """A started child. `code`: a future of its exit code, negative for a signal, as in `subprocess`.

    `started_ns`, `ended_ns`: `time.monotonic_ns()`; `ended_ns` is None while it runs.
    """

    spec: ProcessSpec
    process: subprocess.Popen[bytes]
    started_ns: int
    code: asyncio.Future[int]
    ended_ns: int | None = None
    planned: bool = False
    """A fault of the plan has ended or stopped it, so that is no news."""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return not self.code.done()

    def age_ms(self) -> float:
        return (time.monotonic_ns() - self.started_ns) / NS_PER_MS

    @classmethod
    def start(
        cls, spec: ProcessSpec, take_standby: Callable[[ProcessSpec], subprocess.Popen[bytes] | None] = lambda _: None
    ) -> Self:
        """Start it now, or take a process on standby. Raises RigError if the command is missing or cannot be run, or
        the log cannot be opened."""
        try:
            spec.log.open("ab").close()
            process = take_standby(spec) or _popen(spec)
        except OSError as exc:
            raise RigError(
                f"{spec.name} could not be started: `{spec.argv[0]}`: {exc.strerror or exc}",
                f"check that the command exists and may be executed in {spec.cwd}",
                part=part_of(spec.name),
            ) from exc
        child = cls(spec, process, time.monotonic_ns(), asyncio.get_running_loop().create_future())
        # One thread per child: asyncio's child watchers differ between Python 3.11 and 3.12 and between systems.
        threading.Thread(target=child._await_end, args=(child.code.get_loop(),), daemon=True).start()
        return child

    async def wait(self) -> int:
        """The exit code, once the child has ended. The caller sets the time limit."""
        return await asyncio.shield(self.code)  # a waiter that is cancelled must not cancel the others' future

    async def stop(self, grace_s: float) -> None:
        """Send SIGTERM to its group, and SIGKILL after `grace_s`. Idempotent.

        Returns when the child has ended, or KILL_S after SIGKILL if it is stuck in the kernel: `alive` tells.
        """
        if self.alive:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a process paused by SIGSTOP gets SIGTERM only when it continues
            await asyncio.wait([self.code], timeout=grace_s)
        if self.alive:
            self.kill()
            await asyncio.wait([self.code], timeout=KILL_S)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, sig: signal.Signals) -> None:
        """To its whole group; nothing happens if no process of it is left."""
        try:
            os.killpg(self.pid, sig)  # `start_new_session` made its pid the id of its group
        except (ProcessLookupError, PermissionError):  # macOS raises EPERM for a group of zombies
            return

    @property
    def log_place(self) -> str:
        """Where the log is, for messages; without the path of the run directory, which may be moved."""
        return f"logs/{self.spec.log.name} in the run directory"

    def log_tail(self, lines: int = EXCERPT_LINES) -> list[str]:
        """The last non-empty lines of its log."""
        return log_tail(self.spec.log, lines)

    def log_excerpt(self, lines: int = EXCERPT_LINES) -> list[str]:
        """As `log_excerpt` of its log."""
        return log_excerpt(self.spec.log, lines)

    def _await_end(self, loop: asyncio.AbstractEventLoop) -> None:
        code = self.process.wait()
        ended_ns = time.monotonic_ns()
        self.kill()  # the rest of its group; at once, since the pid may be reused from now on
        try:
            loop.call_soon_threadsafe(self._ended, code, ended_ns)
        except RuntimeError:
            return  # the loop is closed, because the supervisor is exiting

    def _ended(self, code: int, ended_ns: int) -> None:
        self.ended_ns = ended_ns
        if not self.code.done():
            self.code.set_result(code)


def _popen(spec: ProcessSpec) -> subprocess.Popen[bytes]:
    with spec.log.open("ab") as log, _limits(raised=spec.raise_limits):
        return subprocess.Popen(
            spec.argv,
            env=spec.env,
            cwd=spec.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            restore_signals=not spec.keep_signals,
            pass_fds=spec.pass_fds,
        )


@contextmanager
def _limits(*, raised: bool) -> Iterator[None]:
    """While this is open, children inherit a raised limit of open files if `raised`; ours is restored afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if raised:
        raise_open_files()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
