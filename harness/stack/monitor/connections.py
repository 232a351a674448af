"""The second witness: connections on a listener that are not ours, so the service came there, and when.

Reads the system's tables of sockets (`harness.stack.monitor.socket_table`; elsewhere psutil's) about once a second and
whenever a fault was applied. It names no process and proves nothing about the fault itself; that is the canaries' part.
A connection that lasts less than a second is seen only where Toxiproxy's own log tells of it
(`harness.stack.monitor.accepted_clients`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import psutil

from harness.errors import RigError
from harness.rundir.canaries import Connections
from harness.stack.monitor.accepted_clients import AcceptedClients
from harness.stack.monitor.socket_table import Endpoint, read_table, rows
from harness.stack.processes.procfs import PROC
from harness.stack.threads import in_thread

INTERVAL_S: Final = 1.0
SCAN_S: Final = 5.0
"""Bound of one look."""

_COST_SHARE_MAX: Final = 0.05

_HOME: Final = PROC / "self"

Row = tuple[Endpoint, Endpoint | None]
"""Local and remote side of an established socket; no remote side: a listening one."""


class ConnectionMonitor:
    """`ports`: listener port by upstream. `own_ports()`: local ports of canaries, to be left out."""

    def __init__(
        self,
        ports: Mapping[str, int],
        own_ports: Callable[[], Iterable[int]],
        write: Callable[[Connections], None],
        *,
        accepted: AcceptedClients | None = None,
    ) -> None:
        self._ports = ports
        self._own_ports = own_ports
        self._write = write
        self._accepted = accepted
        self._wake = asyncio.Event()
        self._looked_ns: int | None = None
        self._seen: dict[str, set[Endpoint]] = {upstream: set() for upstream in ports}

    def look_now(self) -> None:
        """A fault was applied: what comes from here on came while it stood."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; passes on what `write` raises."""
        while True:
            began_s = time.monotonic()
            self._wake.clear()
            await self.look()
            try:
                async with asyncio.timeout(pause_s(time.monotonic() - began_s)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """One line an upstream; where the system will not say, a line that says so."""
        own = set(self._own_ports())
        began_ns = time.monotonic_ns()
        try:
            found, accepted = await in_thread(self._read, SCAN_S)
        except (TimeoutError, RigError) as exc:
            for upstream in self._ports:
                self._write(Connections(upstream=upstream, t_ns=time.monotonic_ns(), count=None, detail=str(exc)))
            return
        own |= set(self._own_ports())  # those opened while we looked
        now_ns = time.monotonic_ns()
        for upstream, port in self._ports.items():
            standing = {endpoint for endpoint in found[port] if endpoint[1] not in own}
            short_lived = {client for client in accepted.get(upstream, ()) if client not in own}
            new = len(short_lived | {client for _, client in standing - self._seen[upstream]})
            self._seen[upstream] = standing
            self._write(
                Connections(
                    upstream=upstream,
                    t_ns=now_ns,
                    count=len(standing),
                    since_ns=self._looked_ns,
                    new=0 if self._looked_ns is None else new,
                )
            )
        self._looked_ns = began_ns

    def _read(self) -> tuple[dict[int, set[Endpoint]], dict[str, set[int]]]:
        found = connected_to(frozenset(self._ports.values()))
        return found, self._accepted.since_last() if self._accepted else {}


def pause_s(cost_s: float) -> float:
    """With many thousands of sockets a look costs time that the load generator needs: then look less often."""
    return max(INTERVAL_S - cost_s, cost_s / _COST_SHARE_MAX)


def connected_to(ports: frozenset[int]) -> dict[int, set[Endpoint]]:
    """Who is connected to each listener port. Raises RigError where the system refuses to say."""
    try:
        table = read_table(_HOME)
        return peers(_linux_rows(table) if table else _psutil_rows(), ports)
    except (OSError, psutil.Error) as exc:
        raise RigError(f"the system's connections cannot be read: {exc}") from exc


def has_half_closed_peer(port: int) -> bool:
    """Whether a caller of this listener has closed a connection that the listener's side still holds.

    True where the system will not say. One that was reset leaves no trace.
    """
    try:
        if table := read_table(_HOME):
            return any(row.local[1] == port for row in rows(table, psutil.CONN_CLOSE_WAIT))
        every = psutil.net_connections("tcp")
        return any(each.status == psutil.CONN_CLOSE_WAIT and each.laddr and each.laddr.port == port for each in every)
    except (OSError, psutil.Error):
        return True


def peers(seen: Iterable[Row], ports: frozenset[int]) -> dict[int, set[Endpoint]]:
    """On the listener's own host its accepted side counts, so clients elsewhere are seen too.

    Where nothing here listens on the port, the connecting side; otherwise that might be a connection
    to the same port of some other host.
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
    """Process by process: asking for all at once needs root on macOS, one's own processes do not."""
    for process in psutil.process_iter():
        try:
            connections = process.net_connections("tcp")
        except psutil.Error:
            continue  # gone, or another user's
        for each in connections:
            if each.status == psutil.CONN_LISTEN:
                yield (each.laddr.ip, each.laddr.port), None
            elif each.status == psutil.CONN_ESTABLISHED:
                yield (each.laddr.ip, each.laddr.port), (each.raddr.ip, each.raddr.port)
