"""The TCP sockets of a family of processes, counted by state; None where the system does not tell.

On Linux the descriptors of each process are joined by inode with the table of its network namespace, which is
read once for all of them; a TCP socket that is in no table any more, since its connection was reset or has ended,
and whose descriptor nobody has closed, is CLOSE. Elsewhere psutil asks process by process. Unix and UDP sockets have
no such state and are not counted, nor is TIME_WAIT, which belongs to no process any more. A socket that several
processes hold (a listener before its forked workers) counts once. A process that ends meanwhile is no error.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from harness.stack.monitor.socket_table import STATES, read_table, rows
from harness.stack.processes import procfs
from harness.stack.processes.procfs import GONE, PROC

COST_MOST_S: Final = 0.1
"""Of processor time; at one look a second a tenth of a core."""
_PREFIX: Final = "socket:["
_PROTOCOL: Final = "system.sockprotoname"
_TCP: Final = (b"TCP\0", b"TCPv6\0")
_UNTABLED: Final = "CLOSE"


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
    sockets: dict[str, dict[str, str]] = {}
    """By network namespace: a descriptor of each socket, by its inode."""
    homes: dict[str, list[Path]] = {}
    """Of each namespace, where its table can be read: any process may end before that, and we do not."""
    ours = proc / "self"
    try:
        for pid in pids:
            place = _place(pid, proc)
            if place is None:
                continue
            space, home = place
            sockets.setdefault(space, {}).update(_sockets(home / "fd"))
            homes.setdefault(space, [ours] if space == _space(ours) else []).append(home)
        tables = [_states(homes[space], held) for space, held in sockets.items() if held]
    except OSError:
        return None  # it runs as another user
    states = [each for each in tables if each is not None]
    if len(states) < len(tables):
        return None
    tabled = {inode for each in states for inode in each}
    every = {inode: descriptor for held in sockets.values() for inode, descriptor in held.items()}
    found = Counter(state for each in states for state in each.values())
    if closed := sum(inode not in tabled and _is_tcp(descriptor) for inode, descriptor in every.items()):
        found[_UNTABLED] += closed
    return dict(sorted(found.items()))


def _place(pid: int, proc: Path) -> tuple[str, Path] | None:
    """A process's network namespace and where it shows; None of one that has ended. Raises OSError."""
    home = proc / str(pid)
    space = _space(home)
    if space is None and (thread := procfs.living_thread(pid, proc)):
        home, space = thread, _space(thread)
    return None if space is None else (space, home)


def _space(home: Path) -> str | None:
    try:
        return str((home / "ns" / "net").readlink())
    except OSError as exc:
        if exc.errno in GONE:
            return None
        raise


def _sockets(folder: Path) -> dict[str, str]:
    """Among a process's descriptors, by inode. Raises OSError where they may not be listed."""
    found: dict[str, str] = {}
    try:
        for descriptor in os.scandir(folder):
            with suppress(OSError):  # closed since
                target = os.readlink(descriptor.path)  # noqa: PTH115  thousands: a Path each costs more than the call
                if target.startswith(_PREFIX):
                    found[target[len(_PREFIX) : -1]] = descriptor.path
    except OSError as exc:
        if exc.errno not in GONE:
            raise
    return found


def _states(homes: Sequence[Path], sockets: Mapping[str, str]) -> dict[str, str] | None:
    """Of each of these that is in the table; None where all who could show it have ended. Raises OSError."""
    table = next(filter(None, map(read_table, homes)), None)
    if table is None:
        return None
    # by inode: the kernel may show a socket twice while others come and go
    return {inode: row.state for row in rows(table) if (inode := row.inode) in sockets}


def _is_tcp(descriptor: str) -> bool:
    """No where it has been closed since, or where the system does not tell."""
    try:
        return os.getxattr(descriptor, _PROTOCOL) in _TCP
    except OSError:
        return False


def from_psutil(pids: Iterable[int]) -> dict[str, int] | None:
    found: dict[tuple[object, object], str] = {}
    for pid in pids:
        try:
            for each in psutil.Process(pid).net_connections("tcp"):
                # without an address there is nothing by which to know that two processes hold the same one
                key = (each.laddr, each.raddr) if each.laddr else (pid, each.fd)
                found[key] = each.status
        except psutil.NoSuchProcess:
            continue
        except (psutil.Error, OSError):
            return None
    counted = Counter(state for state in found.values() if state in STATES.values())
    return dict(sorted(counted.items()))
