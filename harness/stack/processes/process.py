"""One child process: its own session, its log file, its end noticed at once, its group killed whole.

It knows nothing of what the child is for. It refuses to wait without a bound and to leave any member
of the child's process group alive once the child itself is gone.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from harness.errors import RigError
from harness.text import one_line, shorten_middle
from harness.units import NS_PER_MS

LOG_TAIL_BYTES: Final = 16_384
EXCERPT_LINES: Final = 12
_BLOCK_LINES: Final = 200
"""How far back the first line of a traceback is looked for."""
_WORD_MOST: Final = 1_024
KILL_S: Final = 1.0
"""What SIGKILL may take to work; only a child stuck in the kernel takes longer."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """How a child is started. `env` is whole: nothing else is inherited.

    `raise_limits`: open as many files as the system allows; never for the service under test, whose
    own limit is part of what is tested. `keep_signals`: leave SIGXFSZ ignored, so that a full disk
    is a failed write in the child instead of its death.
    """

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: Path
    log: Path
    raise_limits: bool = True
    keep_signals: bool = False


@dataclass(slots=True, eq=False)
class ChildProcess:
    """A started child. `code` is a future of its exit code, negative for a signal, as subprocess has it."""

    spec: ProcessSpec
    process: subprocess.Popen[bytes]
    started_ns: int
    code: asyncio.Future[int]
    ended_ns: int | None = None

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
    def start(cls, spec: ProcessSpec) -> Self:
        """Start it now. Raises RigError where the command is not there, cannot be run, or the log not be opened."""
        try:
            with spec.log.open("ab") as log, _limits(raised=spec.raise_limits):
                process = subprocess.Popen(
                    spec.argv,
                    env=spec.env,
                    cwd=spec.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    restore_signals=not spec.keep_signals,
                )
        except OSError as exc:
            raise RigError(
                f"{spec.name} could not be started: `{spec.argv[0]}`: {exc.strerror or exc}",
                f"check that the command exists and may be executed in {spec.cwd}",
            ) from exc
        child = cls(spec, process, time.monotonic_ns(), asyncio.get_running_loop().create_future())
        # A thread a child: asyncio's own watchers differ between Python 3.11 and 3.12 and between systems.
        threading.Thread(target=child._await_end, args=(child.code.get_loop(),), daemon=True).start()
        return child

    async def wait(self) -> int:
        """Its exit code, once it has ended. The caller sets the bound."""
        return await asyncio.shield(self.code)

    async def stop(self, grace_s: float) -> None:
        """SIGTERM to its group, SIGKILL after `grace_s`. Idempotent; returns when the child is gone."""
        if self.alive:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # one that was stopped hears of it only when it goes on
            await asyncio.wait([self.code], timeout=grace_s)
        if self.alive:
            self.kill()
            await asyncio.wait([self.code], timeout=KILL_S)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, sig: signal.Signals) -> None:
        try:
            os.killpg(self.pid, sig)
        except (ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
            return

    @property
    def log_place(self) -> str:
        """For people, and the same wherever the run directory is moved to."""
        return f"logs/{self.spec.log.name} in the run directory"

    def log_tail(self, lines: int = 12) -> list[str]:
        """The last lines of its log that say something."""
        return log_tail(self.spec.log, lines)

    def log_excerpt(self, lines: int = EXCERPT_LINES) -> list[str]:
        """The end of its log for people, from the beginning of the last error or traceback; shortened in the middle."""
        return log_excerpt(self.spec.log, lines)

    def _await_end(self, loop: asyncio.AbstractEventLoop) -> None:
        code = self.process.wait()
        ended_ns = time.monotonic_ns()
        self.kill()  # whoever is left of its group; at once, while the number cannot be anybody else's
        try:
            loop.call_soon_threadsafe(self._ended, code, ended_ns)
        except RuntimeError:
            return  # the loop is closed: the supervisor itself is at its end

    def _ended(self, code: int, ended_ns: int) -> None:
        self.ended_ns = ended_ns
        if not self.code.done():
            self.code.set_result(code)


def log_tail(path: Path, lines: int = 12, since_bytes: int = 0) -> list[str]:
    """The last non-empty lines of a log from that place on, each fit to be shown; empty where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = max(since_bytes, size - LOG_TAIL_BYTES)
            file.seek(begin)
            text = file.read().decode("utf-8", "replace")
            if begin > since_bytes:
                text = _after_a_word(text)
    except OSError:
        return []
    # not cut here: secrets are looked for first, and some callers for what stands at a line's end
    return [one_line(line.rstrip(), LOG_TAIL_BYTES) for line in text.splitlines() if line.strip()][-lines:]


def log_excerpt(path: Path, lines: int = EXCERPT_LINES) -> list[str]:
    """The last lines, and where these begin within an indented block, the block from its first line."""
    found = log_tail(path, _BLOCK_LINES)
    begin = max(0, len(found) - lines)
    while begin > 0 and found[begin].startswith(" "):  # tabs are spaces by now
        begin -= 1
    return shorten_middle(found[begin:], lines)


def _after_a_word(text: str) -> str:
    """Without its first word, of which only the end may be here: it could be the end of a secret."""
    space = re.search(r"\s", text[:_WORD_MOST])
    return text[space.end() if space else _WORD_MOST :]


@contextmanager
def _limits(*, raised: bool) -> Iterator[None]:
    """The soft limit of open files that a child is born with, put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if raised:
        raise_open_files()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def raise_open_files() -> None:
    """Raise our soft limit of open files to what the system allows; a system that refuses is left alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        return  # macOS refuses "unlimited" above kern.maxfilesperproc
