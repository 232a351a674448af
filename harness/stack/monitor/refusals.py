"""Whether the service tries to connect to a listener that a fault keeps shut: the first attempt of each window.

A refused connection leaves no trace that an ordinary user may read. So once Toxiproxy has closed the port, this process
listens on it until the service comes. The service's first connection is reset, which proves the attempt. After that
nothing listens there, and the system refuses connections. Canaries are reset as well, but they do not end the watch.
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
from harness.rundir.planned.upstream import PlannedUpstream

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_BACKLOG: Final = 128


class RefusedAttempts:
    """`own_ports()`: local ports of canaries. `open` and `close` return at once; both belong to the event loop."""

    def __init__(self, own_ports: Callable[[], Iterable[int]], write: Callable[[Refused], None]) -> None:
        self._own_ports = own_ports
        self._write = write
        self._listening: dict[str, socket.socket] = {}

    def open(self, upstream: PlannedUpstream) -> None:
        """Watch for the next attempt. If the port cannot be bound, a line says so and connections are only refused."""
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
        """Reset every connection that has come. At the first that is not a canary's, stop listening, which resets those
        still queued."""
        came = False
        while not came:
            try:
                connection, peer = listener.accept()
            except OSError:  # the queue is empty, or the client has left again
                return
            with connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                came = peer[1] not in set(self._own_ports())
        self.close(upstream)
        self._write(Refused(upstream=upstream, t_ns=time.monotonic_ns()))
