"""Whether the service tries to connect to a listener that a fault keeps shut: the first attempt of each window.

A refused connection leaves no trace that an ordinary user may read. So, once Toxiproxy has closed the port, this
process listens there until the service comes: its first connection is reset, which proves that it came, and from then
on nobody listens and the system refuses. Canaries are reset as well and end nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import Final

from harness.rundir.canaries import Refused
from harness.rundir.plan import PlannedUpstream

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_BACKLOG: Final = 128


class RefusedAttempts:
    """`own_ports()`: local ports of canaries. `open` and `close` return at once; both belong to the event loop."""

    def __init__(self, own_ports: Callable[[], Iterable[int]], write: Callable[[Refused], None]) -> None:
        self._own_ports = own_ports
        self._write = write
        self._listening: dict[str, socket.socket] = {}

    def open(self, upstream: PlannedUpstream) -> None:
        """Watch for the next attempt. Where the port cannot be had, a line says so and connections are just refused."""
        if upstream.name in self._listening:
            return
        host, port = upstream.listener.host, upstream.listener.port
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except OSError as exc:
            listener.close()
            why = os.strerror(exc.errno) if exc.errno else str(exc)
            self._write(Refused(upstream=upstream.name, t_ns=time.monotonic_ns(), unseen=f"{host}:{port}: {why}"))
            return
        self._listening[upstream.name] = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, upstream.name, listener)

    def close(self, upstream: str) -> None:
        """Free the port for Toxiproxy. Idempotent."""
        if listener := self._listening.pop(upstream, None):
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()

    def close_all(self) -> None:
        for upstream in tuple(self._listening):
            self.close(upstream)

    def _accept(self, upstream: str, listener: socket.socket) -> None:
        """Reset whoever has come; at the first that is no canary, stop listening, which resets those still queued."""
        came = False
        while not came:
            try:
                connection, peer = listener.accept()
            except OSError:  # nobody is left, or the one that came has gone again
                return
            with connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                came = peer[1] not in set(self._own_ports())
        self.close(upstream)
        self._write(Refused(upstream=upstream, t_ns=time.monotonic_ns()))
