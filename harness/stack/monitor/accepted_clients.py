"""Clients that our own Toxiproxy accepted, by its log, including connections that lasted under a millisecond.

It is read only for plans with a toxic on the upstream stream, or with any toxic where TLS is terminated. Such a toxic
may keep a request from the backend, whose records then do not show it, and may end the connection before the socket
tables are read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Self

from harness.rundir.plan import Plan

ACCEPTED: Final = "Accepted client"
_READ_MOST_BYTES: Final = 32 * 1024 * 1024
"""The most that one call reads. It reads the rest of a log that grows faster at the next call."""


class AcceptedClients:
    """Reads the log from where the last call ended. `since_last` blocks on the file; one thread at a time may call
    it."""

    def __init__(self, log: Path, upstream_of: dict[str, str]) -> None:
        self._log = log
        self._upstream_of = upstream_of
        self._at = _size(log)  # what the log has already belongs to an earlier load

    @classmethod
    def of(cls, plan: Plan, log: Path) -> Self | None:
        """None if the plan does not need it, or if the log is not ours (`toxiproxy.url`)."""
        on_upstreams = (fault for fault in plan.faults if not fault.on_service)
        pairs = ((fault, plan.upstream(name)) for fault in on_upstreams for name in fault.upstreams)
        if plan.toxiproxy_url or not any(fault.may_keep_calls_from(upstream) for fault, upstream in pairs):
            return None
        return cls(log, {plan.proxy_name(upstream.name): upstream.name for upstream in plan.upstreams})

    def since_last(self) -> dict[str, set[int]]:
        """By upstream: the ports of the clients accepted since the last call. Empty if the log is gone."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._at)
                read = file.read(_READ_MOST_BYTES)
        except OSError:
            return {}
        whole = read[: read.rfind(b"\n") + 1]
        self._at += len(whole)
        ports: dict[str, set[int]] = {}
        for line in whole.splitlines():
            if ACCEPTED.encode() not in line:
                continue
            if (client := _client(line)) and (upstream := self._upstream_of.get(client[0])):
                ports.setdefault(upstream, set()).add(client[1])
        return ports


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


def _client(line: bytes) -> tuple[str, int] | None:
    """The proxy's name and the client's port; None if the line is no such entry."""
    try:
        entry = json.loads(line)
        if entry["message"] != ACCEPTED:
            return None
        return str(entry["name"]), int(str(entry["client"]).rpartition(":")[2])
    except (ValueError, KeyError, TypeError):
        return None
