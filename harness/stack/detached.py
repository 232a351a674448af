"""Processes of the service that have left its tree: daemons with a session of their own and init as their parent.

They are found by TAILGATE_RUN in their environment, as the clean-up finds them. Refuses what another child has
started, what shares our own session, and processes of other runs; who takes the variable out is not found.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

import psutil

from harness.stack.child import Child
from harness.stack.leftovers import RUN_VARIABLE


class Detached:
    """Looks again and again: a process is asked for its environment once, when it is new."""

    def __init__(self) -> None:
        self._run_of: dict[int, str] = {}
        """By pid; empty for processes of no run."""
        self._sessions = {os.getsid(0)}
        """Ours and those of the other children, which lead one each."""

    def of(self, service: Child, family: Collection[int], others: Iterable[Child]) -> list[psutil.Process]:
        """Those of the service's run that are not in its `family`, the pids of its tree."""
        run_id = service.spec.env.get(RUN_VARIABLE)
        self._sessions |= {child.pid for child in others}
        pids = psutil.pids()
        self._run_of = {
            pid: self._run_of[pid] if pid in self._run_of else _run(pid) for pid in pids if pid not in family
        }
        of_run = [pid for pid, its in self._run_of.items() if its == run_id] if run_id else []
        return [process for process in map(self._outside, of_run) if process is not None]

    def _outside(self, pid: int) -> psutil.Process | None:
        """None where it is another child's or ours, or has ended."""
        try:
            return None if os.getsid(pid) in self._sessions else psutil.Process(pid)
        except (psutil.Error, OSError):
            return None


def _run(pid: int) -> str:
    try:
        return psutil.Process(pid).environ().get(RUN_VARIABLE, "")
    except (psutil.Error, OSError):
        return ""  # it has ended, or is another user's
