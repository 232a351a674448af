"""A pool of user instances for arrivals, each with a client of its own: last in, first out.

The instance that was used last is used again first, since its connection is most likely still open. `warm` creates as
many as one second's arrivals need before the load starts; after that one is created only if none is free. There are
never more of a class than `most` (the worker's share of `load.max_users`); arrivals then wait for one in order.
`on_start` runs once for each instance.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from locust import User
from locust.exception import StopUser
from locust.user.task import DefaultTaskSet

from scenarios.drive.instrumentation import Instrumentation, RequestContext
from scenarios.drive.models.task_runner import TaskRunner

log = logging.getLogger("tailgate.worker")

WARM_AT_ONCE = 20
WARM_WITHIN_S = 10.0
STOP_WITHIN_S = 5.0


class UserStartFailed(Exception):
    """`__init__` or `on_start` of a user raised. `has_sent`: it had sent a request by then, so the
    service may be why. `answered`: how the latest of them ended, as a clause; empty: unknown."""

    def __init__(self, error: BaseException, *, has_sent: bool, answered: str = "") -> None:
        super().__init__(str(error))
        self.error = error
        self.has_sent = has_sent
        self.answered = answered


@dataclass(frozen=True, slots=True, eq=False)
class UserSlot:
    """One user instance of the pool, with what runs its tasks."""

    kind: int
    """Index of its class."""
    user: User
    user_context: RequestContext
    task_runner: TaskRunner


class UserPool:
    """`most`: how many instances of each class there may be; None: as many as arrivals need."""

    def __init__(
        self,
        classes: Sequence[type[User]],
        environment: Any,
        instrumentation: Instrumentation,
        most: Sequence[int] | None = None,
    ) -> None:
        self._classes = classes
        self._environment = environment
        self._instrumentation = instrumentation
        self._free: tuple[list[UserSlot], ...] = tuple([] for _ in classes)
        self._most = most
        self._permits = None if most is None else tuple(BoundedSemaphore(each) for each in most)
        for user_class in classes:
            user_class.host = environment.host
            instrumentation.prepare(user_class)

    def take(self, kind: int) -> UserSlot:
        """A free instance of class `kind`, else a new one; waits if there may be no more. Raises UserStartFailed, and
        StopUser for an instance that does not want to start."""
        if self._permits is not None:
            self._permits[kind].acquire()
        free = self._free[kind]
        if free:
            return free.pop()
        try:
            return self._new(kind)
        except BaseException:
            self._release(kind)
            raise

    def put_back(self, slot: UserSlot) -> None:
        self._free[slot.kind].append(slot)
        self._release(slot.kind)

    def retire(self, slot: UserSlot) -> None:
        """The instance has stopped itself; the next arrival may create another one."""
        self._release(slot.kind)

    def warm(self, count: int) -> None:
        """Creates `count` instances of each class in advance, or as many as there may be, for at most WARM_WITHIN_S.

        Raises UserStartFailed: if the locustfile cannot log in, for instance, the run must fail.
        """
        with gevent.Timeout(WARM_WITHIN_S, False):
            for kind in range(len(self._classes)):
                missing = count if self._most is None else min(count, self._most[kind])
                while missing > 0:
                    batch = [gevent.spawn(self._new_or_none, kind) for _ in range(min(missing, WARM_AT_ONCE))]
                    try:
                        gevent.joinall(batch, raise_error=True)
                    finally:
                        self._free[kind].extend(made.value for made in batch if made.successful() and made.value)
                        gevent.killall([made for made in batch if not made.dead], timeout=1)
                    missing -= len(batch)

    def stop(self) -> None:
        """Runs `on_stop` of every free instance, within STOP_WITHIN_S; exceptions do not matter."""
        users = [slot.user for free in self._free for slot in free if type(slot.user).on_stop is not User.on_stop]
        stopping = [gevent.spawn(user.on_stop) for user in users]
        gevent.joinall(stopping, timeout=STOP_WITHIN_S)
        gevent.killall([late for late in stopping if not late.dead], timeout=1)

    def _release(self, kind: int) -> None:
        if self._permits is not None:
            self._permits[kind].release()

    def _new_or_none(self, kind: int) -> UserSlot | None:
        try:
            return self._new(kind)
        except StopUser:
            return None

    def _new(self, kind: int) -> UserSlot:
        user_context = RequestContext()
        self._instrumentation.at_work(user_context)
        try:
            user: Any = self._classes[kind](self._environment)
            user._taskset_instance = DefaultTaskSet(user)  # `self.wait()` in a task asks it
            self._instrumentation.attach(user, user_context)
            user.on_start()
        except StopUser:
            raise
        except Exception as exc:
            raise UserStartFailed(exc, has_sent=user_context.sent > 0, answered=user_context.answered) from exc
        finally:
            self._instrumentation.off_work()
        return UserSlot(kind, user, user_context, TaskRunner(user))
