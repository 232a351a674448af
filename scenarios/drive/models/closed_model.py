"""The closed model, `users: N`: Locust's own run loop, unchanged; this module only records what it does.

Each task is an arrival, whose intended time is when its first request is sent. A request outside of a task function (in
a TaskSet) is an arrival of its own. Load that waits for answers hides stalls; the report says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from inspect import isclass
from itertools import count
from typing import Any

import gevent
from locust import TaskSet, User
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser

from harness.rundir.handshake import Handshake
from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS, NS_PER_S
from scenarios.drive.arrival import Arrival
from scenarios.drive.command import WorkerId
from scenarios.drive.instrumentation import Instrumentation, RequestContext, context_of
from scenarios.drive.user_code.watcher import LocustfileWatcher
from scenarios.drive.watch import StopWatch

NOT_FAILURES = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopUser, StopTest)


class ClosedModel:
    """One worker's users. Arrivals are numbered counter × workers + index."""

    def __init__(
        self,
        plan: Plan,
        place: WorkerId,
        instrumentation: Instrumentation,
        watch: StopWatch,
        locustfile: LocustfileWatcher | None = None,
    ) -> None:
        self._plan = plan
        self._place = place
        self._instrumentation = instrumentation
        self._watch = watch
        self._locustfile = locustfile
        self._counter = count()

    def measured(self, classes: Sequence[type[User]]) -> dict[str, type[User]]:
        """Subclasses for Locust whose instances are measured, by keys that no name in a module can equal."""
        return {f"measured {user_class.__name__}": self._subclass(user_class) for user_class in classes}

    def hold(self, handshake: Handshake, environment: Any) -> None:
        """Called before Locust spawns its users: returns when they may start. Raises RigError."""
        load = self._plan.load
        handshake.ready()
        t0_ns = handshake.t0_ns()
        self._instrumentation.start(t0_ns)
        start_ns = t0_ns - round(load.warmup_ms * NS_PER_MS)
        gevent.sleep(max(0, start_ns - time.monotonic_ns()) / NS_PER_S)
        gevent.spawn(self._end, environment, t0_ns + round(load.duration_ms * NS_PER_MS))

    def _end(self, environment: Any, planned_ns: int) -> None:
        while (left_ns := self._watch.ends_ns(planned_ns) - time.monotonic_ns()) > 0:
            gevent.sleep(min(left_ns / NS_PER_S, 0.05))
        environment.stop_timeout = self._plan.load.drain_ms / 1000
        environment.runner.quit()

    def _arrival(self) -> Arrival:
        seq = next(self._counter) * self._plan.load.workers + self._place.index
        arrival = self._instrumentation.user_arrival(seq)
        self._instrumentation.open(arrival)
        return arrival

    def _stray(self) -> Arrival:
        arrival = self._arrival()
        arrival.alone = True
        return arrival

    def _subclass(self, user_class: Any) -> type[User]:
        instrumentation, stray = self._instrumentation, self._stray
        instrumentation.prepare(user_class)

        def init(user: User, environment: Any) -> None:
            user_class.__init__(user, environment)
            instrumentation.attach(user, RequestContext())

        def run(user: User) -> None:
            try:
                user_class.run(user)
            except SystemExit as exc:
                if self._locustfile is None:
                    raise
                self._locustfile.exited(exc)

        def on_start(user: User) -> None:
            instrumentation.at_work(context_of(user))
            try:
                user_class.on_start(user)  # its requests belong to no arrival
            except Exception as exc:
                if self._locustfile is not None and not context_of(user).sent and not isinstance(exc, NOT_FAILURES):
                    self._locustfile.raised(exc)
                raise
            context_of(user).stray = stray

        def on_stop(user: User) -> None:
            context_of(user).stray = None
            instrumentation.off_work()
            user_class.on_stop(user)

        measured: type[User] = type(
            user_class.__name__,
            (user_class,),
            {"abstract": False, "__init__": init, "run": run, "on_start": on_start, "on_stop": on_stop},
        )
        measured.tasks = [
            task if isclass(task) and issubclass(task, TaskSet) else self._as_arrival(task) for task in user_class.tasks
        ]
        return measured

    def _as_arrival(self, task: Any) -> Callable[[User], None]:
        def arrive(user: User) -> None:
            user_context = context_of(user)
            user_context.arrival = arrival = self._arrival()
            outcome: Outcome | None = None
            if self._locustfile is not None:
                self._locustfile.tasks += 1
            try:
                task(user)
                self._instrumentation.end_task(user_context)
            except gevent.GreenletExit:
                outcome = Outcome.UNFINISHED
                raise
            except NOT_FAILURES:
                raise
            except Exception as exc:
                outcome = Outcome.BAD_ANSWER
                arrival.spoil(outcome)
                self._instrumentation.end_task(user_context)
                if self._locustfile is not None and not arrival.exchanges and user_context.is_healthy:
                    self._locustfile.raised(exc)
                raise
            finally:
                user_context.arrival = None
                if arrival.exchanges or outcome is not None:
                    user_context.remember(arrival)
                    self._instrumentation.finish(arrival, outcome or Outcome.BAD_ANSWER, time.monotonic_ns())
                else:
                    self._instrumentation.forget(arrival)

        vars(arrive).update(vars(task))  # weights and tags
        return arrive
