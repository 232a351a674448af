"""Processes of the service that have left its tree: daemons with a session of their own and init as their parent.

They are found by TAILGATE_RUN in their environment, as the clean-up finds them. Refuses what another child has
started, what shares our own session, and processes of other runs; who takes the variable out is not found.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

import psutil

from harness.stack.processes.orphans import RUN_VARIABLE, run_of
from harness.stack.processes.process import ChildProcess


class Detached:
    """Looks again and again: a process is asked for its environment when it is new, and a second time if that was
    empty: it may have been in its exec."""

    def __init__(self) -> None:
        self._run_of: dict[psutil.Process, str] = {}
        """By process, which is a pid and when it began; empty for processes of no run."""
        self._asked: set[psutil.Process] = set()
        """At the last look."""
        self._sessions = {os.getsid(0)}
        """Ours and those of the other children, which lead one each."""

    def of(
        self, service: ChildProcess, family: Collection[int], others: Iterable[ChildProcess]
    ) -> list[psutil.Process]:
        """Those of the service's run that are not in its `family`, the pids of its tree."""
        run_id = service.spec.env.get(RUN_VARIABLE)
        self._sessions |= {child.pid for child in others}
        found = [process for pid in psutil.pids() if pid not in family and (process := _process(pid))]
        runs = {process: self._run_of[process] if process in self._run_of else _run(process) for process in found}
        self._run_of = {process: its for process, its in runs.items() if its or process in self._asked}
        self._asked = set(found)
        return [process for process, its in runs.items() if run_id and its == run_id and not self._is_others(process)]

    def _is_others(self, process: psutil.Process) -> bool:
        """Whether it is another child's or ours, or has ended."""
        try:
            return os.getsid(process.pid) in self._sessions
        except OSError:
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
        return ""  # it has ended, or is another user's
