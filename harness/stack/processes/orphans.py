"""What a run left running: found by TAILGATE_RUN in a process's environment, and ended.

Grandchildren that changed their session, such as the workers of `uvicorn --workers`, carry it too. It
refuses to touch ourselves, our ancestors, values that are no run id, and runs that somebody looks after.
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
from harness.stack.processes import ports, procfs

RUN_VARIABLE: Final = "TAILGATE_RUN"
SUPERVISOR_MODULE: Final = "harness.stack.supervisor.supervisor"
_POLL_S: Final = 0.005
_KERNEL: Final = 2
"""The parent of Linux' own threads, which have neither environment nor command line for good."""
_PASSAGE_S: Final = 2.0
"""What a process may take to let go of what it holds once it is dying; only one stuck in the kernel takes longer."""
_RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class OrphanProcess:
    """One live process of a run."""

    run_id: str
    process: psutil.Process
    is_supervisor: bool


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a sweep ended and removed."""

    processes: tuple[str, ...]
    lock_files: tuple[Path, ...]


def members(run_id: str | None = None) -> list[OrphanProcess]:
    """Every live process of the run, or of any run; never this process or one that it descends from.

    A process that is dying or being born shows no environment, and holds its sockets: those are waited for, all at
    once and a moment only, so that what is not found here is really gone.
    """
    return _found(run_id, _PASSAGE_S)


def kill_run(run_id: str, *, grace_s: float = 0.5, within_s: float = 3.0) -> list[str]:
    """End what still carries the run's id: SIGTERM, then SIGKILL, again until none is found. Returns who it was.

    Looking again catches what forked while we were killing. Bounded by `within_s`.
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
    """End the processes of runs that are dead, and remove lock files that nobody holds."""
    processes = [name for run_id in dead_runs() for name in kill_run(run_id)]
    return CleanupReport(tuple(processes), tuple(ports.remove_stale(lock_dir)))


def live_runs() -> set[str]:
    """Runs of this host whose supervisor lives, those of other users included. Containers are hosts of their own."""
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
    """Run directories below `out` whose run neither lives nor ever ended; the files by which it was led are removed."""
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
    """Runs without a living supervisor whose processes were all taken over by init.

    Those with another parent are somebody's on purpose: a test of tailgate, or a person trying things out.
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
        # a desktop's `systemd --user` takes orphans in as well
        return parent.pid == 1 or (parent.name() == "systemd" and parent.ppid() == 1)
    except psutil.Error:
        return False


def _await_end(processes: list[psutil.Process], within_s: float) -> None:
    """Until all are gone or time is up. Does not reap, as `psutil.wait_procs` would: their parent wants the code."""
    end = time.monotonic() + within_s
    while any(_runs(process) for process in processes) and time.monotonic() < end:
        time.sleep(_POLL_S)


def _found(run_id: str | None, patience_s: float) -> list[OrphanProcess]:
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    end = time.monotonic() + patience_s
    found: list[OrphanProcess] = []
    pending = [process for process in psutil.process_iter() if process.pid not in own]
    while True:
        in_passage = []
        for process in pending:
            with suppress(psutil.Error, OSError):  # gone meanwhile, or another user's: neither is ours
                value = run_of(process)
                if value is None:
                    in_passage.append(process)
                elif value and (value == run_id if run_id else _RUN_ID.fullmatch(value)):
                    found.append(OrphanProcess(value, process, _is_supervisor(process)))
        if not in_passage or time.monotonic() >= end:
            return found
        pending = in_passage
        time.sleep(_POLL_S)


def run_of(process: psutil.Process) -> str | None:
    """The run that its environment tells, or the empty string; None while it is between two states in which it
    tells: in its exec, or in its exit. Raises psutil.Error and OSError.

    Linux takes a dying process's memory, and with it environment and command line, before its files; and it
    calls one a zombie as soon as its first thread has ended, while others may go on.
    """
    with suppress(psutil.NoSuchProcess):  # so newer Linux has it of one without memory: dying, or the kernel's
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
    """Raises psutil.Error. One whose first thread has ended is none: that thread is what a supervisor is."""
    return not procfs.leader_exited(process) and SUPERVISOR_MODULE in process.cmdline()


def _runs(process: psutil.Process) -> bool:
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
        process.send_signal(signal.SIGCONT)  # one that was stopped hears of it only when it goes on
    except psutil.Error:
        return
