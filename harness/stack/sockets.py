"""The TCP sockets of a family of processes, counted by state; None where the system does not tell.

On Linux the descriptors of each process are joined by inode with the table of its network namespace, which is
read once for all of them; elsewhere psutil asks process by process. Unix and UDP sockets have no such state and are
not counted, nor is TIME_WAIT, which belongs to no process any more. A socket that several processes hold (a
listener before its forked workers) counts once. A process that ends meanwhile is no error.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import psutil

PROC: Final = Path("/proc")
STATES: Final = {
    "01": "ESTABLISHED",
    "02": "SYN_SENT",
    "03": "SYN_RECV",
    "04": "FIN_WAIT1",
    "05": "FIN_WAIT2",
    "07": "CLOSE",
    "08": "CLOSE_WAIT",
    "09": "LAST_ACK",
    "0A": "LISTEN",
    "0B": "CLOSING",
}
"""As /proc/net/tcp numbers them, without TIME_WAIT."""
COST_MOST_S: Final = 0.1
"""Of processor time; at one look a second a tenth of a core."""
_GONE: Final = (errno.ENOENT, errno.ESRCH, errno.EINVAL)
"""Of a process that has ended, or is a zombie."""
_PREFIX: Final = "socket:["
_STATE, _INODE = 3, 9
"""Columns of /proc/net/tcp."""


class SocketCounter:
    """Counts at every look; after a count that cost much it leaves one look out, and never two.

    What measures must not be what costs, and yet a gate must know how often at least it is told something.
    """

    def __init__(
        self,
        count: Callable[[Iterable[int]], dict[str, int] | None] | None = None,
        *,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._count = count or sockets_by_state
        self._spent = spent
        self._rests = False

    def count(self, pids: Iterable[int]) -> dict[str, int] | None:
        """None too at a look that is left out."""
        if self._rests:
            self._rests = False
            return None
        begun_s = self._spent()
        found = self._count(pids)
        self._rests = self._spent() - begun_s > COST_MOST_S
        return found


def sockets_by_state(pids: Iterable[int]) -> dict[str, int] | None:
    """How many sockets are in each state that occurs, such as {"ESTABLISHED": 12, "LISTEN": 1}."""
    return from_proc(pids) if sys.platform == "linux" else from_psutil(pids)


def from_proc(pids: Iterable[int], proc: Path = PROC) -> dict[str, int] | None:
    held: dict[str, set[str]] = {}
    """Inodes, by network namespace."""
    tables: dict[str, int] = {}
    """Of each namespace, a process that is in it."""
    for pid in pids:
        try:
            space = str((proc / str(pid) / "ns" / "net").readlink())
            held.setdefault(space, set()).update(_inodes(proc / str(pid) / "fd"))
            tables[space] = pid  # the last one that was there
        except OSError as exc:
            if exc.errno in _GONE:
                continue
            return None  # it runs as another user
    found: Counter[str] = Counter()
    for space, pid in tables.items():
        for name in ("tcp", "tcp6"):
            try:
                table = (proc / str(pid) / "net" / name).read_bytes()
            except OSError as exc:
                if exc.errno in _GONE:
                    continue  # no IPv6 here, or it has ended and its sockets with it
                return None
            found.update(_states(table.decode("ascii", "replace"), held[space]))
    return dict(sorted(found.items()))


def _inodes(folder: Path) -> set[str]:
    """Of the sockets among a process's descriptors. Raises OSError where they may not be listed."""
    inodes = set()
    for descriptor in os.scandir(folder):
        try:
            target = os.readlink(descriptor.path)  # noqa: PTH115  thousands of them: a Path each costs more than the call
        except OSError:
            continue  # closed since
        if target.startswith(_PREFIX):
            inodes.add(target[len(_PREFIX) : -1])
    return inodes


def _states(table: str, inodes: set[str]) -> Iterable[str]:
    for line in table.splitlines()[1:]:
        columns = line.split(None, _INODE + 1)
        if len(columns) > _INODE and columns[_INODE] in inodes and columns[_STATE] in STATES:
            yield STATES[columns[_STATE]]


def from_psutil(pids: Iterable[int]) -> dict[str, int] | None:
    found: dict[tuple[object, object], str] = {}
    for pid in pids:
        try:
            for each in psutil.Process(pid).net_connections("tcp"):
                found[each.laddr, each.raddr] = each.status
        except psutil.NoSuchProcess:
            continue
        except (psutil.Error, OSError):
            return None
    counted = Counter(state for state in found.values() if state in STATES.values())
    return dict(sorted(counted.items()))
