"""Counts the TCP sockets of a family of processes by state; None if the system does not show them.

On Linux the descriptors of each process are joined by inode with the socket table of its network namespace, which is
read once for all of them. A TCP socket that is in no table any more, because its connection was reset or has ended, and
whose descriptor is still open, counts as CLOSE. Elsewhere psutil reads process by process. Unix and UDP sockets have no
such state and are not counted, nor is TIME_WAIT, which belongs to no process any more. A socket that several processes
share (a listener before its forked workers) counts once. A process that ends meanwhile is no error.
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
"""Processor time that one count may cost: at one sample a second, a tenth of a core."""
_PREFIX: Final = "socket:["
_PROTOCOL: Final = "system.sockprotoname"
_TCP: Final = (b"TCP\0", b"TCPv6\0")
_UNTABLED: Final = "CLOSE"


class SocketCounter:
    """Counts at every sample, but leaves one out after a count that cost too much, and never two in a row.

    The measurement must not become the cost that it measures, and yet a gate must know how often at least a count
    comes.
    """

    def __init__(
        self,
        count: Callable[[Iterable[int]], dict[str, int] | None] | None = None,
        *,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._count = count or sockets_by_state
        self._spent = spent
        self._skips_next = False

    def count(self, pids: Iterable[int]) -> dict[str, int] | None:
        """Sockets by state. None if the system does not show them, or if this sample is left out."""
        if self._skips_next:
            self._skips_next = False
            return None
        begun_s = self._spent()
        found = self._count(pids)
        self._skips_next = self._spent() - begun_s > COST_MOST_S
        return found


def sockets_by_state(pids: Iterable[int]) -> dict[str, int] | None:
    """How many sockets are in each state that occurs, such as {"ESTABLISHED": 12, "LISTEN": 1}."""
    return from_proc(pids) if sys.platform == "linux" else from_psutil(pids)


def from_proc(pids: Iterable[int], proc: Path = PROC) -> dict[str, int] | None:
    sockets: dict[str, dict[str, str]] = {}
    """By network namespace: a descriptor of each socket, by its inode."""
    homes: dict[str, list[Path]] = {}
    """By network namespace: the folders that show its table. Any other process may end before it is read, but ours does
    not."""
    ours = proc / "self"
    try:
        for pid in pids:
            place = _place(pid, proc)
            if place is None:
                continue
            namespace, home = place
            sockets.setdefault(namespace, {}).update(_sockets(home / "fd"))
            homes.setdefault(namespace, [ours] if namespace == _namespace(ours) else []).append(home)
        tables = [_states(homes[namespace], descriptors) for namespace, descriptors in sockets.items() if descriptors]
    except OSError:
        return None  # the process belongs to another user
    states = [each for each in tables if each is not None]
    if len(states) < len(tables):
        return None
    tabled = {inode for each in states for inode in each}
    every = {inode: descriptor for descriptors in sockets.values() for inode, descriptor in descriptors.items()}
    found = Counter(state for each in states for state in each.values())
    if closed := sum(inode not in tabled and _is_tcp(descriptor) for inode, descriptor in every.items()):
        found[_UNTABLED] += closed
    return dict(sorted(found.items()))


def _place(pid: int, proc: Path) -> tuple[str, Path] | None:
    """A process's network namespace and the folder that shows it; None if the process has ended. Raises OSError."""
    home = proc / str(pid)
    namespace = _namespace(home)
    if namespace is None and (thread := procfs.living_thread(pid, proc)):
        home, namespace = thread, _namespace(thread)
    return None if namespace is None else (namespace, home)


def _namespace(home: Path) -> str | None:
    try:
        return str((home / "ns" / "net").readlink())
    except OSError as exc:
        if exc.errno in GONE:
            return None
        raise


def _sockets(folder: Path) -> dict[str, str]:
    """A process's socket descriptors, by inode. Raises OSError if they may not be listed."""
    found: dict[str, str] = {}
    try:
        with os.scandir(folder) as descriptors:
            for descriptor in descriptors:
                with suppress(OSError):  # closed meanwhile
                    target = os.readlink(descriptor.path)  # noqa: PTH115  a Path for each of thousands costs more
                    if target.startswith(_PREFIX):
                        found[target[len(_PREFIX) : -1]] = descriptor.path
    except OSError as exc:
        if exc.errno not in GONE:
            raise
    return found


def _states(homes: Sequence[Path], sockets: Mapping[str, str]) -> dict[str, str] | None:
    """By inode: the state of each of these sockets that is in the table. None if every process that could show the
    table has ended. Raises OSError."""
    table = next(filter(None, map(read_table, homes)), None)
    if table is None:
        return None
    # by inode: the kernel may show a socket twice while other sockets come and go
    return {inode: row.state for row in rows(table) if (inode := row.inode) in sockets}


def _is_tcp(descriptor: str) -> bool:
    """False if the descriptor was closed meanwhile, or if the system does not say."""
    try:
        return os.getxattr(descriptor, _PROTOCOL) in _TCP
    except OSError:
        return False


def from_psutil(pids: Iterable[int]) -> dict[str, int] | None:
    found: dict[tuple[object, object], str] = {}
    for pid in pids:
        try:
            for each in psutil.Process(pid).net_connections("tcp"):
                # without an address nothing shows that two processes share a socket
                key = (each.laddr, each.raddr) if each.laddr else (pid, each.fd)
                found[key] = each.status
        except psutil.NoSuchProcess:
            continue
        except (psutil.Error, OSError):
            return None
    counted = Counter(state for state in found.values() if state in STATES.values())
    return dict(sorted(counted.items()))
