"""Listeners that drop attempts to connect, as a firewall does, and whether the service tried.

Once Toxiproxy has closed the port, this process listens there with room for one connection, which it fills itself. The
system then drops whatever else wants to connect, and the client tries again after 1, 3 and 7 s. An attempt that is not
a canary's is seen in the system's socket tables: a client's socket that has sent its first packet and got no answer.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import psutil

from harness.rundir.canaries import Refused
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.stack.monitor.socket_table import read_table, rows
from harness.stack.processes.procfs import PROC
from harness.stack.threads import in_thread

SCAN_EVERY_S: Final = 0.25
"""From one look at the socket tables to the next."""
SCAN_S: Final = 5.0
"""How long one look may take."""
_FILL_S: Final = 1.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_HOME: Final = PROC / "self"


class OwnPorts(Protocol):
    """Local ports of the harness's own connections."""

    def opened(self, port: int) -> None: ...
    def closed(self, port: int) -> None: ...
    def __call__(self) -> Iterable[int]: ...


@dataclass(eq=False, slots=True)
class _Taken:
    listener: socket.socket
    filler: socket.socket
    watch: asyncio.Task[None] | None = None


class Blackholes:
    """`open` and `close` return at once, or after the moment that a connection on this machine takes. Both belong to
    the event loop."""

    def __init__(self, own_ports: OwnPorts, write: Callable[[Refused], None]) -> None:
        self._own_ports = own_ports
        self._write = write
        self._taken: dict[str, _Taken] = {}

    def open(self, upstream: PlannedUpstream) -> None:
        """Take the port of the upstream's listener. If that is not possible, a line says so, and canaries show that the
        fault is not active."""
        if upstream.name in self._taken:
            return
        at = upstream.listener
        try:
            taken = _take(at)
        except OSError as exc:
            why = os.strerror(exc.errno) if exc.errno else str(exc)
            self._write(Refused(upstream=upstream.name, t_ns=time.monotonic_ns(), unseen=f"{at.address}: {why}"))
            return
        self._own_ports.opened(taken.filler.getsockname()[1])
        self._taken[upstream.name] = taken
        taken.watch = asyncio.get_running_loop().create_task(self._watch(upstream))

    def close(self, upstream: str) -> None:
        """Free the port for Toxiproxy. Idempotent."""
        if taken := self._taken.pop(upstream, None):
            if taken.watch:
                taken.watch.cancel()
            self._own_ports.closed(taken.filler.getsockname()[1])
            taken.filler.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            taken.filler.close()
            taken.listener.close()

    def close_all(self) -> None:
        for upstream in tuple(self._taken):
            self.close(upstream)

    async def _watch(self, upstream: PlannedUpstream) -> None:
        """Write one line at the first attempt that is not a canary's, or if the system does not show attempts."""
        while True:
            try:
                tried = await in_thread(lambda: attempts(upstream.listener.port), SCAN_S)
            except (OSError, psutil.Error) as exc:
                why = f"the system's connections cannot be read: {exc or type(exc).__name__}"
                self._write(Refused(upstream=upstream.name, t_ns=time.monotonic_ns(), unseen=why))
                return
            if tried - set(self._own_ports()):
                self._write(Refused(upstream=upstream.name, t_ns=time.monotonic_ns()))
                return
            await asyncio.sleep(SCAN_EVERY_S)


def attempts(port: int) -> set[int]:
    """The local ports of sockets that try to connect to this port and have no answer. Raises OSError, psutil.Error."""
    if table := read_table(_HOME):
        return {row.local[1] for row in rows(table, psutil.CONN_SYN_SENT) if row.remote and row.remote[1] == port}
    every = psutil.net_connections("tcp")
    trying = (each for each in every if each.status == psutil.CONN_SYN_SENT and each.laddr and each.raddr)
    return {each.laddr.port for each in trying if each.raddr and each.laddr and each.raddr.port == port}


def _take(at: Endpoint) -> _Taken:
    """A listener whose queue is full. Raises OSError."""
    family = socket.AF_INET6 if ":" in at.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    filler = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((at.host, at.port))
        listener.listen(0)  # room for one connection that nobody has accepted
        filler.settimeout(_FILL_S)
        filler.connect((at.host, at.port))
    except OSError:
        for each in (listener, filler):
            with suppress(OSError):
                each.close()
        raise
    return _Taken(listener, filler)
