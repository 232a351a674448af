"""Connections on a listener that are not the harness's own: they show that the service came there, and when.

It reads the system's socket tables (`harness.stack.monitor.socket_table`; psutil's where there are none) about once a
second, and whenever a fault was applied. It names no process and proves nothing about the fault itself; canaries do
that. A connection that lasts less than a second is seen only if Toxiproxy's own log has it
(`harness.stack.monitor.accepted_clients`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

import psutil

from harness.errors import RigError
from harness.rundir.canaries import Connections
from harness.stack.monitor.accepted_clients import AcceptedClients
from harness.stack.monitor.received_bytes import received_by_peer
from harness.stack.monitor.socket_table import Endpoint, read_table, rows
from harness.stack.processes.procfs import PROC
from harness.stack.threads import in_thread

INTERVAL_S: Final = 1.0
SCAN_S: Final = 5.0
"""How long one reading may take."""

_COST_SHARE_MAX: Final = 0.05
"""The most of the time that readings may take."""

_HOME: Final = PROC / "self"

Row = tuple[Endpoint, Endpoint | None]
"""Local and remote endpoint of an established socket. A listening socket has no remote endpoint."""


class ConnectionMonitor:
    """Writes a line per upstream at each reading. `ports`: listener port by upstream. `own_ports()`: local ports of
    canaries, which are left out."""

    def __init__(
        self,
        ports: Mapping[str, int],
        own_ports: Callable[[], Iterable[int]],
        write: Callable[[Connections], None],
        *,
        accepted: AcceptedClients | None = None,
        counted: Collection[str] = (),
    ) -> None:
        """`counted`: the upstreams whose calls nothing records, so that the bytes of the service count."""
        self._ports = ports
        self._own_ports = own_ports
        self._write = write
        self._accepted = accepted
        self._received: dict[str, dict[int, int] | None] = dict.fromkeys(counted)
        self._wake = asyncio.Event()
        self._looked_ns: int | None = None
        self._seen: dict[str, set[Endpoint]] = {upstream: set() for upstream in ports}

    def look_now(self) -> None:
        """Read at once, because a fault was applied: connections that come after this reading came while it was
        active."""
        self._wake.set()

    async def run(self) -> None:
        """Read until cancelled. Raises what `write` raises."""
        while True:
            self._wake.clear()
            cost_s = await self.look()
            try:
                async with asyncio.timeout(pause_s(cost_s)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look(self) -> float:
        """Read once and write one line per upstream. If the system refuses, the line says so, with `count` None.

        Returns the seconds of processor that it took.
        """
        own = set(self._own_ports())
        began_ns = time.monotonic_ns()
        try:
            found, accepted, received, cost_s = await in_thread(self._read, SCAN_S)
        except (TimeoutError, RigError) as exc:
            for upstream in self._ports:
                self._write(Connections(upstream=upstream, t_ns=time.monotonic_ns(), count=None, detail=str(exc)))
            return 0.0
        own |= set(self._own_ports())  # those opened during the reading
        now_ns = time.monotonic_ns()
        for upstream, port in self._ports.items():
            current = {endpoint for endpoint in found[port] if endpoint[1] not in own}
            short_lived = {client for client in accepted.get(upstream, ()) if client not in own}
            new = len(short_lived | {client for _, client in current - self._seen[upstream]})
            self._seen[upstream] = current
            self._write(
                Connections(
                    upstream=upstream,
                    t_ns=now_ns,
                    count=len(current),
                    since_ns=self._looked_ns,
                    new=0 if self._looked_ns is None else new,
                    received_bytes=self._since_last(upstream, received.get(upstream), own),
                )
            )
        self._looked_ns = began_ns
        return cost_s

    def _since_last(self, upstream: str, received: dict[int, int] | None, own: Collection[int]) -> int | None:
        """What the service has sent since the last reading."""
        before = self._received.get(upstream)
        if upstream in self._received:
            self._received[upstream] = received
        if received is None or before is None:
            return None
        return sum(max(0, total - before.get(peer, 0)) for peer, total in received.items() if peer not in own)

    def _read(self) -> tuple[dict[int, set[Endpoint]], dict[str, set[int]], dict[str, dict[int, int] | None], float]:
        """The cost, the last of the four, is processor time: a reading that only waited for its turn on a busy machine
        took none from other processes."""
        began_s = time.thread_time()
        found = connected_to(frozenset(self._ports.values()))
        received = {upstream: received_by_peer(self._ports[upstream]) for upstream in self._received}
        accepted = self._accepted.since_last() if self._accepted else {}
        return found, accepted, received, time.thread_time() - began_s


def pause_s(cost_s: float) -> float:
    """The pause after a reading that took `cost_s` of a processor. With many thousands of sockets a reading costs time
    that the load generator needs, so readings become rarer."""
    return max(INTERVAL_S - cost_s, cost_s / _COST_SHARE_MAX)


def connected_to(ports: frozenset[int]) -> dict[int, set[Endpoint]]:
    """The clients' endpoints at each listener port. Raises RigError if the system refuses to show them."""
    try:
        table = read_table(_HOME)
        return peers(_linux_rows(table) if table else _psutil_rows(), ports)
    except (OSError, psutil.Error) as exc:
        raise RigError(f"the system's connections cannot be read: {exc}") from exc


def has_half_closed_peer(port: int) -> bool:
    """Whether a client of this listener has closed a connection that the listener's side still has open.

    True if the system refuses to show it. A connection that was reset leaves no trace.
    """
    try:
        if table := read_table(_HOME):
            return any(row.local[1] == port for row in rows(table, psutil.CONN_CLOSE_WAIT))
        every = psutil.net_connections("tcp")
        return any(each.status == psutil.CONN_CLOSE_WAIT and each.laddr and each.laddr.port == port for each in every)
    except (OSError, psutil.Error):
        return True


def peers(seen: Iterable[Row], ports: frozenset[int]) -> dict[int, set[Endpoint]]:
    """The clients' endpoints at each of the ports.

    If something on this host listens on the port, its accepted sockets count, so that clients on other hosts are seen
    too. If nothing does, the connecting sockets count; otherwise they might be connections to the same port of another
    host.
    """
    accepted: dict[int, set[Endpoint]] = {port: set() for port in ports}
    connecting: dict[int, set[Endpoint]] = {port: set() for port in ports}
    listening: set[int] = set()
    for local, remote in seen:
        if remote is None:
            listening.add(local[1])
        elif local[1] in ports:
            accepted[local[1]].add(remote)
        elif remote[1] in ports:
            connecting[remote[1]].add(local)
    return {port: accepted[port] if port in listening or accepted[port] else connecting[port] for port in ports}


def _linux_rows(table: bytes) -> Iterable[Row]:
    for row in rows(table, psutil.CONN_ESTABLISHED, psutil.CONN_LISTEN):
        yield row.local, None if row.state == psutil.CONN_LISTEN else row.remote


def _psutil_rows() -> Iterable[Row]:
    """Read process by process: reading all at once needs root on macOS, reading the user's own processes does not."""
    for process in psutil.process_iter():
        try:
            connections = process.net_connections("tcp")
        except psutil.Error:
            continue  # it has ended, or belongs to another user
        for each in connections:
            if each.status == psutil.CONN_LISTEN:
                yield (each.laddr.ip, each.laddr.port), None
            elif each.status == psutil.CONN_ESTABLISHED:
                yield (each.laddr.ip, each.laddr.port), (each.raddr.ip, each.raddr.port)
