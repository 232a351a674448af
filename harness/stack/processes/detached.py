"""Finds processes of the service that have left its process tree: daemons with their own session and init as parent.

They are found by TAILGATE_RUN in their environment, as `orphans` finds them; a process that removes the variable is not
found. Processes in our own session, in the session of another child or below it, of another run or of `tailgate worker`
are left out.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

import psutil

from harness.stack.names import FAR_VARIABLE, RUN_VARIABLE
from harness.stack.processes.orphans import run_of
from harness.stack.processes.process import ChildProcess


class Detached:
    """Call `of` at intervals. It reads the environment of each new process once, and a second time if the first was
    empty, because the process may have been in its exec."""

    def __init__(self) -> None:
        self._run_of: dict[psutil.Process, str] = {}
        """Run id by process (pid and start time); an empty string for a process of no run."""
        self._asked: set[psutil.Process] = set()
        """The processes that the last call of `of` found."""
        self._others: set[int] = set()
        """The pids of the other children; each child leads a session."""
        self._own_session = os.getsid(0)

    def of(
        self, service: ChildProcess, family: Collection[int], others: Iterable[ChildProcess]
    ) -> list[psutil.Process]:
        """The processes of the service's run outside `family`, the pids of its tree. `others`: all other children."""
        run_id = service.spec.env.get(RUN_VARIABLE)
        self._others |= {child.pid for child in others}
        found = [process for pid in psutil.pids() if pid not in family and (process := _process(pid))]
        runs = {process: self._run_of[process] if process in self._run_of else _run(process) for process in found}
        self._run_of = {process: run for process, run in runs.items() if run or process in self._asked}
        self._asked = set(found)
        return [process for process, run in runs.items() if run_id and run == run_id and not self._is_foreign(process)]

    def _is_foreign(self, process: psutil.Process) -> bool:
        """Whether the process is in our session, in another child's or below it in the tree, of a worker elsewhere
        that is on this machine all the same, or has ended."""
        try:
            if FAR_VARIABLE in process.environ():
                return True
            session = os.getsid(process.pid)
            if session == self._own_session or session in self._others:
                return True
            return any(parent.pid in self._others for parent in process.parents())
        except (OSError, psutil.Error):
            return True


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _run(process: psutil.Process) -> str:
    try:
        return run_of(process) or ""
    except (psutil.Error, OSError):
        return ""  # the process has ended, or belongs to another user
