"""Who had the cores, second by second from t = 0: how long the service's threads waited for one, what it used, the same
of the rig's processes, and what others used of the cores that the service may use. Pure; from resources.ndjson alone.
Nothing is judged here.

Readings come about once a second and not at whole seconds, but each figure adds up. So its value at a whole second lies
on the line between the readings before and after, and late readings only blur when something was used, not how much.

What a thread waited is lost with the thread, so a service with a thread or a process for each request seems to wait
little. What the run's processes waited together is shared out as well, in proportion to the processor time that they
used, which the kernel keeps; of the two figures for the service the larger counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.rundir.manifest import MACHINE, SERVICE
from harness.rundir.remote.worker_cpu import HOST
from harness.units import NS_PER_S

Floats = NDArray[np.float64]
Lines = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class CoreSeconds:
    """Arrays with one entry for each second from `first` on (counted from t = 0; negative in the warm-up), all of one
    length. Figures are seconds of processor time, or of waiting added up over threads, per second."""

    first: int
    cores: int
    """How many cores the service may use."""
    waited_s: Floats
    """The service's threads were ready to run and waited for a core: what was read, or its share of the run's waiting
    if that is more."""
    used_s: Floats
    """The service used."""
    rig_waited_s: Floats
    """The run's other processes waited for a core: load workers, gateway, Toxiproxy, forwarder, fakes, upstreams."""
    rig_used_s: Floats
    """The run's other processes used."""
    others_s: Floats
    """Processes outside the run used of the service's cores, with what a hypervisor took."""
    stolen_s: Floats
    """What a hypervisor took of the service's cores: no run delay shows it. It is part of `others_s`."""
    used_most: tuple[tuple[int, str, float], ...] = ()
    """Processes outside the run that used most: the second of the reading, the program's name, and what it used."""

    @classmethod
    def of(cls, lines: Lines, t0_ns: int) -> CoreSeconds | None:
        """None if any figure is unknown: the service is none of the run's processes, the system does not give the
        figure, or the run is of a version that did not record it. Load processes of other machines do not count."""
        lines = [line for line in lines if HOST not in line]
        waited = _curve(lines, SERVICE, "run_delay_s")
        used, others = _curve(lines, SERVICE, "cpu_s"), _curve(lines, MACHINE, "others_cpu_s")
        cores = [
            count for line in lines if line.get("child") == MACHINE and isinstance(count := line.get("cores"), int)
        ]
        if waited is None or used is None or others is None or not cores:
            return None
        own = (waited, used, others)
        first = -(-(max(int(curve.t_ns[0]) for curve in own) - t0_ns) // NS_PER_S)
        end = (min(int(curve.t_ns[-1]) for curve in own) - t0_ns) // NS_PER_S
        if end <= first:
            return None
        borders = t0_ns + np.arange(first, end + 1) * NS_PER_S
        rig = sorted({str(line.get("child")) for line in lines} - {MACHINE, SERVICE})
        rig_waited_s, rig_used_s = (_sum(lines, rig, key, borders) for key in ("run_delay_s", "cpu_s"))
        used_s, read_s = used.between(borders), waited.between(borders)
        run_used_s = used_s + rig_used_s
        share = np.divide(used_s, run_used_s, out=np.zeros_like(used_s), where=run_used_s > 0)
        stolen = _curve(lines, MACHINE, "stolen_cpu_s")
        return cls(
            first=first,
            cores=max(cores),
            waited_s=np.maximum(read_s, (read_s + rig_waited_s) * share),
            used_s=used_s,
            rig_waited_s=rig_waited_s,
            rig_used_s=rig_used_s,
            others_s=others.between(borders),
            stolen_s=np.zeros_like(used_s) if stolen is None else stolen.between(borders),
            used_most=tuple(_used_most(lines, t0_ns)),
        )

    def __len__(self) -> int:
        return len(self.waited_s)

    @property
    def held_s(self) -> Floats:
        """The longest that others may have held the run up in each second: what any of its processes waited, and what a
        hypervisor took, but no more than others used."""
        return np.minimum(self.others_s, self.waited_s + self.rig_waited_s + self.stolen_s)

    @property
    def idle_s(self) -> Floats:
        """For how long in each second, at the least, no process of the run ran or waited for a core."""
        busy_s = self.waited_s + self.rig_waited_s + self.used_s + self.rig_used_s + self.stolen_s
        return (1.0 - busy_s).clip(min=0.0)

    def at(self, chosen: NDArray[np.bool_]) -> frozenset[int]:
        """The seconds, counted from t = 0, whose entry is chosen."""
        return frozenset((np.flatnonzero(chosen) + self.first).tolist())


@dataclass(frozen=True, slots=True)
class _Curve:
    """A figure that adds up, at the times of its readings; both arrays ascend."""

    t_ns: NDArray[np.int64]
    total: Floats

    def between(self, borders: NDArray[np.int64]) -> Floats:
        """By how much it grew between each two neighbours of `borders`; nothing outside its readings."""
        return np.diff(np.interp(borders, self.t_ns, self.total))


def _sum(lines: Lines, children: Sequence[str], figure: str, borders: NDArray[np.int64]) -> Floats:
    total: Floats = np.zeros(len(borders) - 1)
    for child in children:
        if (curve := _curve(lines, child, figure)) is not None:
            total += curve.between(borders)
    return total


def _used_most(lines: Lines, t0_ns: int) -> Iterator[tuple[int, str, float]]:
    for line in lines:
        if line.get("child") != MACHINE or not isinstance(t_ns := line.get("t_ns"), int):
            continue
        busiest = line.get("others_most")
        for name, used_s in busiest.items() if isinstance(busiest, dict) else ():
            if isinstance(used_s, int | float):
                yield (t_ns - t0_ns) // NS_PER_S, str(name), float(used_s)


def _curve(lines: Iterable[Mapping[str, object]], child: str, figure: str) -> _Curve | None:
    """None unless there are two readings. A fall counts as zero: the process was started again."""
    known = [
        (t_ns, float(value))
        for line in lines
        if line.get("child") == child
        and isinstance(t_ns := line.get("t_ns"), int)
        and isinstance(value := line.get(figure), int | float)
    ]
    if len(known) < 2:
        return None
    times, values = np.array([t for t, _ in known], np.int64), np.array([value for _, value in known])
    order = np.argsort(times, kind="stable")
    grown = np.diff(values[order]).clip(min=0)
    return _Curve(times[order], np.concatenate([[0.0], np.cumsum(grown)]))
