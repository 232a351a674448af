"""All processes of a child's session: a child leads its own session, and what it starts is in there too.

A fault on a process reaches all of them and nothing else. A daemon that has left the session is not reached, as it
would not be by whatever ends a service. Blocking; every wait has a time limit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Final

import psutil

from harness.errors import RigError

_POLL_S: Final = 0.005
_ROUNDS: Final = 5
"""How often a signal is sent again: processes may have started others meanwhile."""


def members(leader: int) -> list[psutil.Process]:
    """The living processes of the session that `leader` leads, zombies left out."""
    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == leader and (process := psutil.Process(pid)).status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):  # it has ended
            continue
    return found


def kill(leader: int, within_s: float) -> None:
    """Kill the session by SIGKILL. Raises RigError if any of it is left after `within_s`."""
    _until_none(leader, signal.SIGKILL, lambda process: True, "could not be killed", within_s)


def stop(leader: int, within_s: float) -> None:
    """Stop the session by SIGSTOP. Raises RigError if any of it still runs after `within_s`."""
    _until_none(leader, signal.SIGSTOP, _runs, "could not be stopped", within_s)
    if not members(leader):
        raise RigError("the process has ended, so it could not be stopped", "see its log")


def resume(leader: int) -> None:
    """Let the session continue. Nothing happens if it has ended."""
    for _ in range(_ROUNDS):
        stopped = [process for process in members(leader) if not _runs(process)]
        for process in stopped:
            _send(process, signal.SIGCONT)
        if not stopped:
            return
        time.sleep(_POLL_S)


def is_stopped(leader: int) -> bool:
    """Whether /proc shows every process of the session as stopped, and there is one."""
    found = members(leader)
    return bool(found) and not any(map(_runs, found))


def _until_none(
    leader: int, sig: signal.Signals, matters: Callable[[psutil.Process], bool], what: str, within_s: float
) -> None:
    end = time.monotonic() + within_s
    while left := [process for process in members(leader) if matters(process)]:
        if time.monotonic() > end:
            pids = ", ".join(str(process.pid) for process in left)
            raise RigError(
                f"process {pids} {what} within {within_s:g} s", "see what keeps it in the kernel (ps, dmesg)"
            )
        for process in left:
            _send(process, sig)
        time.sleep(_POLL_S)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _send(process: psutil.Process, sig: signal.Signals) -> None:
    try:
        process.send_signal(sig)  # psutil refuses if the pid has been given to another process
    except psutil.Error:
        return
