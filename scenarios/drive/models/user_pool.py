"""A pool of user instances for arrivals, each with a client of its own: last in, first out.

The last one used most likely has an open connection, and there are never more instances than arrivals in flight at
once. `on_start` runs once for each; as many as one second's arrivals need are created before the load starts.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gevent
from locust import User

from scenarios.drive.instrumentation import Instrumentation, RequestContext
from scenarios.drive.models.task_runner import TaskRunner

log = logging.getLogger("tailgate.worker")

WARM_AT_ONCE = 20
WARM_WITHIN_S = 10.0
STOP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class UserSlot:
    kind: int
    """Index of its class."""
    user: User
    desk: RequestContext
    turns: TaskRunner


class UserPool:
    def __init__(self, classes: Sequence[type[User]], environment: Any, meter: Instrumentation) -> None:
        self._classes = classes
        self._environment = environment
        self._meter = meter
        self._free: tuple[list[UserSlot], ...] = tuple([] for _ in classes)
        for user_class in classes:
            user_class.host = environment.host
            meter.prepare(user_class)

    def take(self, kind: int) -> UserSlot:
        """A free instance of class `kind`, else a new one; exceptions of its `__init__` or `on_start` are passed on."""
        free = self._free[kind]
        return free.pop() if free else self._new(kind)

    def put_back(self, seat: UserSlot) -> None:
        self._free[seat.kind].append(seat)

    def warm(self, count: int) -> None:
        """Creates `count` instances of each class in advance, for at most WARM_WITHIN_S.

        Exceptions of `on_start` are passed on: if the locustfile cannot log in, for instance, the run must fail.
        """
        with gevent.Timeout(WARM_WITHIN_S, False):
            for kind in range(len(self._classes)):
                missing = count
                while missing > 0:
                    batch = [gevent.spawn(self._new, kind) for _ in range(min(missing, WARM_AT_ONCE))]
                    try:
                        gevent.joinall(batch, raise_error=True)
                    finally:
                        self._free[kind].extend(made.value for made in batch if made.successful())
                        gevent.killall([made for made in batch if not made.dead], timeout=1)
                    missing -= len(batch)

    def stop(self) -> None:
        """Runs `on_stop` of every free instance, within STOP_WITHIN_S; exceptions do not matter."""
        users = [seat.user for free in self._free for seat in free if type(seat.user).on_stop is not User.on_stop]
        stopping = [gevent.spawn(user.on_stop) for user in users]
        gevent.joinall(stopping, timeout=STOP_WITHIN_S)
        gevent.killall([late for late in stopping if not late.dead], timeout=1)

    def _new(self, kind: int) -> UserSlot:
        user = self._classes[kind](self._environment)
        desk = RequestContext()
        self._meter.attach(user, desk)
        user.on_start()
        return UserSlot(kind, user, desk, TaskRunner(user))
