"""The processor time of every process of the machine, from one pass through /proc. Linux only; reads, never judges."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.stack.processes.procfs import PROC

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _SYSTEM, _ENDED_USER, _ENDED_SYSTEM, _START = 1, 11, 12, 13, 14, 19
"""Fields of /proc/PID/stat, counted from the state, which follows the name in parentheses (proc_pid_stat(5))."""
INIT: Final = 1
"""The process that adopts and waits for orphans of everyone."""


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """One process. `start_ticks`: when it started, which tells processes of one pid apart. `own_s`: what it has used.
    `ended_s`: what its children used that have ended and that it has waited for, with theirs."""

    parent: int
    start_ticks: int
    own_s: float
    ended_s: float


Table = Mapping[int, ProcessTimes]
"""By pid."""


def read_table(proc: Path = PROC) -> Table:
    """Every process that can be seen. Raises OSError if there is no /proc."""
    table: dict[int, ProcessTimes] = {}
    for name in os.listdir(proc):  # noqa: PTH208  once a second, and a Path for each entry costs more than its reading
        if not name.isdecimal():
            continue
        try:
            fields = (proc / name / "stat").read_bytes().rpartition(b")")[2].split()
            table[int(name)] = _times(fields)
        except (OSError, IndexError, ValueError):  # it has ended
            continue
    return table


def _times(fields: list[bytes]) -> ProcessTimes:
    ticks = [int(fields[place]) for place in (_USER, _SYSTEM, _ENDED_USER, _ENDED_SYSTEM)]
    return ProcessTimes(
        parent=int(fields[_PARENT]),
        start_ticks=int(fields[_START]),
        own_s=(ticks[0] + ticks[1]) / _TICKS_PER_S,
        ended_s=(ticks[2] + ticks[3]) / _TICKS_PER_S,
    )


def with_descendants(table: Table, roots: Iterable[int]) -> set[int]:
    """The pids of these processes, if they are in the table, and of all that descend from them."""
    children: dict[int, list[int]] = {}
    for pid, times in table.items():
        children.setdefault(times.parent, []).append(pid)
    found: set[int] = set()
    left = [pid for pid in roots if pid in table]
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left += children.get(pid, ())
    return found


def used_s(before: Table, now: Table, pids: Collection[int], pids_before: Collection[int]) -> float:
    """The processor time that a group of processes used between two tables, `pids` in `now` and `pids_before` in
    `before`.

    Two sums are taken, and the larger counts, since each misses something. The growth of the living misses what
    processes used that have ended. The growth of the totals, with the children that have ended, has that, but it falls
    when a process ends that no parent waits for. INIT's children do not count: they are orphans of everyone.
    """
    living = sum(_grown_s(before.get(pid), now[pid]) for pid in pids)
    totals = sum(_total_s(pid, now[pid]) for pid in pids) - sum(_total_s(pid, before[pid]) for pid in pids_before)
    return max(living, totals)


def _grown_s(before: ProcessTimes | None, now: ProcessTimes) -> float:
    known = before is not None and before.start_ticks == now.start_ticks
    return max(0.0, now.own_s - before.own_s) if known and before else now.own_s


def _total_s(pid: int, times: ProcessTimes) -> float:
    return times.own_s + (0.0 if pid == INIT else times.ended_s)
