"""Which clients our own Toxiproxy has accepted, by its log: also those that were gone within a millisecond.

Read only for plans with a toxic on the upstream stream. Such a toxic may keep a request from the backend, whose
records then say nothing of it, and may end its connection before the socket tables are looked at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Self

from harness.rundir.plan import Plan

ACCEPTED: Final = "Accepted client"
_READ_MOST_BYTES: Final = 32 * 1024 * 1024
"""Of what was written since the last look; a log that grows faster is read from there on at the next."""


class AcceptedClients:
    """`since_last` blocks on the file and is called by one thread at a time."""

    def __init__(self, log: Path, upstream_of: dict[str, str]) -> None:
        self._log = log
        self._upstream_of = upstream_of
        self._at = _size(log)  # what stands there already is of an earlier load

    @classmethod
    def of(cls, plan: Plan, log: Path) -> Self | None:
        """None where the plan needs none of it, or where the log is not ours (`toxiproxy.url`)."""
        if plan.toxiproxy_url or not any(fault.acts_on_requests for fault in plan.faults):
            return None
        return cls(log, {plan.proxy_name(upstream.name): upstream.name for upstream in plan.upstreams})

    def since_last(self) -> dict[str, set[int]]:
        """For each upstream the ports of the clients accepted since the last call. A log that is gone: nobody."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._at)
                read = file.read(_READ_MOST_BYTES)
        except OSError:
            return {}
        whole = read[: read.rfind(b"\n") + 1]
        self._at += len(whole)
        found: dict[str, set[int]] = {}
        for line in whole.splitlines():
            if ACCEPTED.encode() not in line:
                continue
            if (client := _client(line)) and (upstream := self._upstream_of.get(client[0])):
                found.setdefault(upstream, set()).add(client[1])
        return found


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


def _client(line: bytes) -> tuple[str, int] | None:
    """The proxy's name and the client's port."""
    try:
        entry = json.loads(line)
        if entry["message"] != ACCEPTED:
            return None
        return str(entry["name"]), int(str(entry["client"]).rpartition(":")[2])
    except (ValueError, KeyError, TypeError):
        return None
