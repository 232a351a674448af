"""Who takes part in a load: admits the workers that it expects, each once, and refuses everybody else.

A refusal costs the run nothing. A worker that was admitted and is lost is a rig failure, before the load as well: its
part of the plan has no other sender.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import __version__
from harness.remote.messages import LIVENESS_S, Join, JoinRefused, Welcome
from harness.rundir.plan import Plan
from harness.units import NS_PER_S, format_things

ONE_VERSION: Final = "install the same version on every machine"


@dataclass(slots=True)
class Member:
    """A worker that takes part. `heard_ns`: when anything came from it last. `id`: its identity in ZeroMQ."""

    id: str
    index: int
    host: str
    heard_ns: int
    ready: bool = False
    finished: bool = False

    @property
    def name(self) -> str:
        """For people, counted from 1 as the worker itself says it: `worker 1 (host-b)`."""
        return f"worker {self.index + 1} ({self.host})"


class Roster:
    """The workers of one load, in the order in which they joined. Times are `now_ns` of our monotonic clock."""

    def __init__(self, plan: Plan) -> None:
        """Reads the files of which digests are compared. Raises OSError."""
        self._expected = plan.load.workers
        self._plan = for_workers(plan)
        self._locustfile = digest_of(plan.load.locustfile)
        self._data = digest_of(plan.load.data)
        self._members: dict[str, Member] = {}
        self.has_started = False
        """The load has begun, or a Locust process for it was started: nobody may join any more."""

    def join(self, sender: str, message: Join, now_ns: int) -> Welcome | JoinRefused:
        """Admits the sender, or says why not. A member that asks again, since an answer was lost, gets the same."""
        member = self._members.get(sender)
        if member is None:
            if refused := self._refusal(message):
                return refused
            taken = {each.index for each in self._members.values()}
            free = next(index for index in range(self._expected) if index not in taken)
            member = Member(sender, free, message.host, now_ns)
            self._members[sender] = member
        return Welcome(index=member.index, plan=self._plan, locustfile_sha256=self._locustfile, data_sha256=self._data)

    def _refusal(self, message: Join) -> JoinRefused | None:
        if message.version != __version__:
            what = f"this worker is tailgate {message.version}, and the run is {__version__}"
            return JoinRefused(message=what, fix=ONE_VERSION)
        if self.has_started:
            return JoinRefused(
                message="the load has begun, and nobody may join it any more",
                fix="start the workers before `tailgate run`, or while it waits for them",
            )
        if len(self._members) == self._expected:
            return JoinRefused(
                message=f"all of {format_things(self._expected, 'worker')} are here already",
                fix="raise --expect-workers, or start fewer",
            )
        return None

    def leave(self, sender: str) -> None:
        """A member did not accept what it was given, before the load: its place is free again."""
        self._members.pop(sender, None)

    def member(self, sender: str) -> Member | None:
        return self._members.get(sender)

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(self._members.values())

    @property
    def is_complete(self) -> bool:
        return len(self._members) == self._expected

    def lost(self, now_ns: int) -> Member | None:
        """A member that has not finished and of which nothing came for `LIVENESS_S`; None if there is none."""
        silent = (
            each
            for each in self._members.values()
            if not each.finished and now_ns - each.heard_ns > LIVENESS_S * NS_PER_S
        )
        return next(silent, None)


def for_workers(plan: Plan) -> bytes:
    """plan.json for workers: without what starts the service and the upstreams, which is none of their business.

    `${VAR}` stands in it as the scenario has it.
    """
    service = plan.service.model_copy(update={"argv": None, "env": {}, "ready_headers": {}})
    upstreams = tuple(upstream.model_copy(update={"command": None}) for upstream in plan.upstreams)
    load = plan.load.model_copy(update={"remote": None})  # the address as they reach it is in their own command
    return plan.model_copy(update={"service": service, "upstreams": upstreams, "load": load}).model_dump_json().encode()


def digest_of(path: str | None) -> str | None:
    """SHA-256 of a file, in hex; None if there is no path. Raises OSError."""
    return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()
