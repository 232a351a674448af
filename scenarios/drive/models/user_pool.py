"""User instances for arrivals to use, each with a client of its own: last in, first out.

The last one used has the warmest connection, and no more instances come to be than are in flight at
once. `on_start` runs once for each, before the load starts for as many as a second's arrivals need.
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
        """A free instance of class `kind`, else a new one. Raises what its `__init__` or `on_start` raises."""
        free = self._free[kind]
        return free.pop() if free else self._new(kind)

    def put_back(self, seat: UserSlot) -> None:
        self._free[seat.kind].append(seat)

    def warm(self, count: int) -> None:
        """Make instances ahead, class by class. Stops early when it takes too long.

        Raises what an `on_start` raises: a locustfile that cannot log in cannot be run.
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
        """`on_stop` of every instance that is free; bounded, and of no consequence."""
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
