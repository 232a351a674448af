"""The one reader of Linux' tables of TCP sockets, /proc/PID/net/tcp and tcp6. Each shows one network namespace."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.stack.processes.procfs import GONE

Endpoint = tuple[str, int]
"""An address, as the system writes it, and a port."""

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
"""States by their number in the table. TIME_WAIT is left out: there may be very many, and they belong to no process any
more."""


_INODE: Final = re.compile(rb".{38}\S* +\d+ +\d+ (\d+)")
"""What follows the state: 38 characters or more of queues, timer and retransmissions, the user, the timeout, the
inode."""


@dataclass(slots=True)
class TableRow:
    """One socket. A column is parsed only when it is asked for, since there may be many thousands of rows."""

    _found: re.Match[bytes]

    @property
    def local(self) -> Endpoint:
        return _endpoint(self._found[1], self._found[2])

    @property
    def remote(self) -> Endpoint:
        return _endpoint(self._found[3], self._found[4])

    @property
    def state(self) -> str:
        return STATES[self._found[5].decode()]

    @property
    def inode(self) -> str:
        """Empty if the line is cut off."""
        found = _INODE.match(self._found.string, self._found.end())
        return found[1].decode() if found else ""


def read_table(home: Path) -> bytes:
    """The IPv4 and IPv6 sockets that a process's folder (`/proc/self`) shows, unparsed. Empty if the process has ended
    or there is no such folder. Raises OSError."""
    table = home / "net" / "tcp"
    first, second = _read(table), _read(home / "net" / "tcp6")
    if not second and not os.access(table, os.F_OK):  # a system that only lacks IPv6 has this file
        return b""
    return first + second


def rows(table: bytes, *states: str) -> Iterator[TableRow]:
    """The sockets in any of these states, or in any of STATES if none is given. Other lines are skipped."""
    return map(TableRow, _pattern(states).finditer(table))


@functools.cache
def _pattern(states: tuple[str, ...]) -> re.Pattern[bytes]:
    numbers = "|".join(number for number, state in STATES.items() if not states or state in states)
    endpoint = "([0-9A-F]+):([0-9A-F]{4})"
    return re.compile(rf": {endpoint} {endpoint} ({numbers}) ".encode())


def _endpoint(address: bytes, port: bytes) -> Endpoint:
    return address[-8:].decode(), int(port, 16)  # the last 8 digits of an IPv4 address are the same in both tables


def _read(table: Path) -> bytes:
    """Empty if there is no such file."""
    try:
        return table.read_bytes()
    except OSError as exc:
        if exc.errno in GONE:
            return b""
        raise
