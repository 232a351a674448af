"""Finds and ends the processes that a run left running, by TAILGATE_RUN in their environment.

Grandchildren that changed their session, such as the workers of `uvicorn --workers`, carry the variable too. This
process, its ancestors and values that are no run id are never touched, nor, by a sweep, runs that are not dead.
"""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from harness.rundir import handshake
from harness.rundir.manifest import Manifest
from harness.stack.names import RUN_VARIABLE, SUPERVISOR_MODULE
from harness.stack.processes import ports, procfs

_POLL_S: Final = 0.005
_KERNEL: Final = 2
"""The pid of the parent of Linux's kernel threads, which never have an environment or a command line."""
_PASSAGE_S: Final = 2.0
"""How long a dying process may take to close its files; only a process stuck in the kernel takes longer."""
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class OrphanProcess:
    """One live process of a run."""

    run_id: str
    process: psutil.Process
    is_supervisor: bool


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a sweep ended and removed. `processes`: a description of each process."""

    processes: tuple[str, ...]
    lock_files: tuple[Path, ...]


def members(run_id: str | None = None) -> list[OrphanProcess]:
    """Every live process of the run, or of any run if None; never this process or its ancestors.

    A process in its exec or exit shows no environment but still has its sockets. The call waits a moment for all such
    processes, so that what it does not find is really gone.
    """
    return _found(run_id, _PASSAGE_S)


def kill_run(run_id: str, *, grace_s: float = 0.5, within_s: float = 3.0) -> list[str]:
    """End every process that carries the run's id: SIGTERM, then SIGKILL, until none is left. Returns their names.

    The search is repeated because a process may have forked meanwhile. Takes at most `within_s`.
    """
    end = time.monotonic() + within_s
    ended: dict[int, str] = {}
    sig, patience_s = (signal.SIGTERM, grace_s) if grace_s else (signal.SIGKILL, 0.5)
    while True:
        found = _found(run_id, min(_PASSAGE_S, end - time.monotonic()))
        left_s = end - time.monotonic()
        if not found or left_s <= 0:
            return list(ended.values())
        for member in found:
            ended.setdefault(member.process.pid, _describe(member))
            _signal(member.process, sig)
        _await_end([member.process for member in found], min(patience_s, left_s))
        sig, patience_s = signal.SIGKILL, 0.5


def sweep(lock_dir: Path | None = None) -> CleanupReport:
    """End the processes of dead runs, and remove lock files that no process has locked."""
    processes = [name for run_id in dead_runs() for name in kill_run(run_id)]
    return CleanupReport(tuple(processes), tuple(ports.remove_stale(lock_dir)))


def live_runs() -> set[str]:
    """Ids of the runs on this host, of all users, whose supervisor lives. A container counts as a host of its own."""
    alive = {member.run_id for member in members() if member.is_supervisor}
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except (psutil.Error, OSError):
            continue
        if SUPERVISOR_MODULE in words and _RUN_ID.fullmatch(words[-1]):
            alive.add(words[-1])
    return alive


def interrupted_runs(out: Path) -> list[Path]:
    """Run directories below `out` whose run is dead and never ended. Removes their `control` folders."""
    alive = live_runs()
    found = []
    for path in sorted(out.rglob("manifest.json")):
        try:
            manifest = Manifest.read(path.parent)
        except (OSError, ValueError):
            continue
        if manifest.ended is None and (manifest.stack_id or manifest.run_id) not in alive:
            handshake.clear(path.parent)
            found.append(path.parent)
    return found


def dead_runs() -> list[str]:
    """Ids of the runs without a living supervisor whose processes were all adopted by init.

    A process with another parent was started on purpose, by a test of tailgate or by a person who tries things out.
    """
    runs: dict[str, list[OrphanProcess]] = {}
    for member in members():
        runs.setdefault(member.run_id, []).append(member)
    return sorted(
        run_id
        for run_id, found in runs.items()
        if not any(member.is_supervisor for member in found) and all(_is_orphan(member, found) for member in found)
    )


def _is_orphan(member: OrphanProcess, family: list[OrphanProcess]) -> bool:
    try:
        parent = member.process.parent()
        if parent is None or parent.pid in {other.process.pid for other in family}:
            return True
        # a desktop's `systemd --user` adopts orphans as well
        return parent.pid == 1 or (parent.name() == "systemd" and parent.ppid() == 1)
    except psutil.Error:
        return False


def _await_end(processes: list[psutil.Process], within_s: float) -> None:
    """Return when all have ended, or after `within_s`. Does not reap: the parents need the exit codes."""
    end = time.monotonic() + within_s
    while any(_is_running(process) for process in processes) and time.monotonic() < end:
        time.sleep(_POLL_S)


def _found(run_id: str | None, patience_s: float) -> list[OrphanProcess]:
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    end = time.monotonic() + patience_s
    found: list[OrphanProcess] = []
    pending = [process for process in psutil.process_iter() if process.pid not in own]
    while True:
        undecided = []
        for process in pending:
            with suppress(psutil.Error, OSError):  # it has ended, or is another user's: not ours in both cases
                value = run_of(process)
                if value is None:
                    undecided.append(process)
                elif value and (value == run_id if run_id else _RUN_ID.fullmatch(value)):
                    found.append(OrphanProcess(value, process, _is_supervisor(process)))
        if not undecided or time.monotonic() >= end:
            return found
        pending = undecided
        time.sleep(_POLL_S)


def run_of(process: psutil.Process) -> str | None:
    """The run id in the environment of the process; an empty string if it has none. None if that cannot be known now,
    because the process is in its exec or exit. Raises psutil.Error and OSError.

    Linux frees the memory of a dying process, and with it environment and command line, before it closes the files. And
    it calls a process a zombie as soon as its first thread has ended, though other threads may go on.
    """
    with suppress(psutil.NoSuchProcess):  # newer Linux, no memory: it is dying or a kernel thread
        if environ := process.environ():
            return environ.get(RUN_VARIABLE, "")
    if process.status() == psutil.STATUS_ZOMBIE:
        if not procfs.leader_exited(process):
            return ""
        thread = procfs.living_thread(process.pid)
        return procfs.environ(thread).get(RUN_VARIABLE, "") if thread else None
    nameless = not process.cmdline() and process.pid != _KERNEL and process.ppid() not in (0, _KERNEL)
    return None if nameless else ""


def _is_supervisor(process: psutil.Process) -> bool:
    """Whether it is a supervisor whose first thread lives, since that thread does all the work. Raises psutil.Error."""
    return not procfs.leader_exited(process) and SUPERVISOR_MODULE in process.cmdline()


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or procfs.leader_exited(process))
    except psutil.Error:
        return False


def _describe(member: OrphanProcess) -> str:
    try:
        return f"{member.process.name()} (pid {member.process.pid}, run {member.run_id})"
    except psutil.Error:
        return f"pid {member.process.pid} (run {member.run_id})"


def _signal(process: psutil.Process, sig: signal.Signals) -> None:
    try:
        process.send_signal(sig)  # psutil refuses if the pid has been given to another process
        process.send_signal(signal.SIGCONT)  # a stopped process gets the signal only when it continues
    except psutil.Error:
        return
