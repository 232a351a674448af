"""Which processor time others took: on the cores that the service may use, all that was used, less what the run used.

The run is tailgate, the supervisor, its children and all that descends from them, and what the service has detached.
Time that a hypervisor took (steal) is others' time. Interrupts are nobody's: those of the run's own traffic are among
them. Where it is not certain whose time it was, it does not count as others':

- On a machine whose every process can be seen, others took no more than was seen of them. So what a process of the
  run used that ended without its parent waiting for it is not taken for others' time.
- On cores that the service shares with others while the run uses further cores, all of the run's time counts as used
  on the shared ones, except beside processes that may run nowhere else.

Linux only. The figures are recorded and judged nowhere here.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.rundir.manifest import MACHINE
from harness.stack.monitor.process_table import Table, read_table, used_s, with_descendants
from harness.stack.processes.procfs import PROC

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_USER, _NICE, _SYSTEM, _STEAL = 1, 2, 3, 8
"""Fields of a line `cpuN` of /proc/stat (proc_stat(5)); the time of guests is part of user time."""
_MOST_PROCESSES: Final = 8
_MOST_LEAST_S: Final = 0.05
"""Of the processes outside the run so many are named in a sample, if they used at least so much since the last one."""
_FIRST_NAMESPACE: Final = "pid:[4026531836]"
"""The pid namespace in which every process of the machine can be seen (PROC_PID_INIT_INO of Linux)."""


@dataclass(frozen=True, slots=True)
class MachineSample:
    """The machine at one moment. A figure is None if the system does not give it.

    `cores`: how many cores the service may use. `others_cpu_s`: the seconds that others used of them since the first
    sample, and `stolen_cpu_s` the part of it that a hypervisor took. `pressure_s`: how long at least one process of the
    machine had waited for a core, since boot (/proc/pressure/cpu; in a container it may be that of its host).
    `others_most`: the programs outside the run that used most since the sample before, on any core, by name, in
    seconds; those of other containers cannot be seen.
    """

    t_ns: int
    child: str
    cores: int | None
    others_cpu_s: float | None
    pressure_s: float | None
    stolen_cpu_s: float | None = None
    others_most: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """What one core has done since boot, in seconds. `used_s`: for processes; `steal_s`: taken by a hypervisor."""

    used_s: float
    steal_s: float


class MachineCpu:
    """Call `sample` at intervals."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._before: tuple[Table, Mapping[int, CoreTimes], set[int]] | None = None
        """The process table, the cores, and the pids of the run, at the last sample."""
        self._others_s = self._stolen_s = 0.0
        self._sees_all = _sees_all(proc)

    def sample(self, run: Iterable[int], service: Collection[int]) -> MachineSample:
        """`run`: the pids whose descendants are the run, which includes them; `service`: those of the service, empty
        if tailgate did not start it. Then nothing is known of the cores and of others."""
        t_ns = time.monotonic_ns()
        cores = _allowed(service)
        others_s = stolen_s = None
        most: dict[str, float] = {}
        with contextlib.suppress(OSError, ValueError, IndexError):
            table, times = read_table(self._proc), read_cores(self._proc)
            own = with_descendants(table, run)
            if self._before and cores:
                self._others_s += self._others_between(table, times, own, cores)
                self._stolen_s += self._stolen_between(times, cores)
                most = self._others_most(table, own)
            others_s, stolen_s = (round(self._others_s, 3), round(self._stolen_s, 3)) if cores else (None, None)
            self._before = table, times, own
        return MachineSample(t_ns, MACHINE, len(cores) or None, others_s, _pressure_s(self._proc), stolen_s, most)

    def _stolen_between(self, times: Mapping[int, CoreTimes], cores: Collection[int]) -> float:
        assert self._before is not None
        before = self._before[1]
        known = [core for core in cores if core in times and core in before]
        return max(0.0, sum(times[core].steal_s - before[core].steal_s for core in known))

    def _others_most(self, table: Table, own: set[int]) -> dict[str, float]:
        """By program, the most first: of the few processes that used most, those that used something to speak of."""
        assert self._before is not None
        before = self._before[0]
        grown = {
            pid: table[pid].own_s - before[pid].own_s
            for pid in table.keys() - own
            if pid in before and before[pid].start_ticks == table[pid].start_ticks
        }
        found: dict[str, float] = {}
        for pid in sorted(grown, key=lambda pid: -grown[pid])[:_MOST_PROCESSES]:
            if grown[pid] >= _MOST_LEAST_S and (name := _program(self._proc, pid)):
                found[name] = round(found.get(name, 0.0) + grown[pid], 3)
        return found

    def _others_between(
        self, table: Table, times: Mapping[int, CoreTimes], own: set[int], cores: Collection[int]
    ) -> float:
        assert self._before is not None
        before, times_before, own_before = self._before
        # a process that has been recognised as the run's only now was the run's before
        own_before = {pid for pid in before if pid in own_before or pid in own}
        others, others_before = table.keys() - own, before.keys() - own_before
        known = [core for core in cores if core in times and core in times_before]
        used = sum(times[core].used_s - times_before[core].used_s for core in known)
        steal = sum(times[core].steal_s - times_before[core].steal_s for core in known)
        others_s = used + steal - used_s(before, table, own, own_before)
        if len(cores) < len(times):
            bound = [pid for pid in others if table[pid] != before.get(pid) and _allowed([pid]) <= set(cores)]
            others_s = max(others_s, used_s(before, table, bound, [pid for pid in bound if pid in before]))
        if self._sees_all:
            others_s = min(others_s, steal + used_s(before, table, others, others_before))
        return max(0.0, others_s)


def read_cores(proc: Path = PROC) -> dict[int, CoreTimes]:
    """Each core by its number. Raises OSError, and ValueError or IndexError if /proc/stat has another shape."""
    found: dict[int, CoreTimes] = {}
    for line in (proc / "stat").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(" ")
        if name.startswith("cpu") and name != "cpu":
            fields = [0, *(int(field) for field in rest.split())]
            used = sum(fields[place] for place in (_USER, _NICE, _SYSTEM))
            found[int(name.removeprefix("cpu"))] = CoreTimes(used / _TICKS_PER_S, fields[_STEAL] / _TICKS_PER_S)
    return found


def _allowed(pids: Iterable[int]) -> set[int]:
    """The cores that any of the processes may use; those that have ended use none."""
    cores: set[int] = set()
    for pid in pids:
        with contextlib.suppress(OSError, AttributeError):  # it has ended; or this system has no affinity
            cores |= os.sched_getaffinity(pid)
    return cores


def _sees_all(proc: Path) -> bool:
    try:
        return (proc / "self" / "ns" / "pid").readlink() == Path(_FIRST_NAMESPACE)
    except OSError:
        return False


def _program(proc: Path, pid: int) -> str:
    """The name of a process's program; empty if it has ended."""
    try:
        return (proc / str(pid) / "comm").read_bytes().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _pressure_s(proc: Path) -> float | None:
    """From the line `some avg10=0.00 avg60=0.00 avg300=0.00 total=16280507`, whose total is in µs."""
    try:
        line = (proc / "pressure" / "cpu").read_text(encoding="ascii").partition("\n")[0]
        return round(int(line.partition("total=")[2]) / 1e6, 3)
    except (OSError, ValueError):
        return None
