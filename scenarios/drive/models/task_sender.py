"""Serves arrivals by the tasks of Locust users: a greenlet and a user instance for each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import gevent
from locust import User
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser

from harness.rundir.locustfile.notes import LocustfileNote
from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from scenarios.drive.arrival import Arrival
from scenarios.drive.command import WorkerId, own_share, shares_of
from scenarios.drive.instrumentation import Instrumentation
from scenarios.drive.models.error_log import ErrorLog
from scenarios.drive.models.user_pool import UserPool, UserSlot, UserStartFailed
from scenarios.drive.user_code.user_code import STOP_IGNORED
from scenarios.drive.user_code.watcher import LocustfileWatcher
from scenarios.load import request_index

NOT_FAILURES: Final = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately)
FIX_NEW_USER: Final = (
    "each new user runs `on_start`; if it takes one of a few accounts, write their number as `load.max_users`"
)
FIX_ENDLESS: Final = (
    "end the task after its requests, or give waits in it more room by `load.max_in_flight`; with `load.users` a task "
    "may go on"
)


class TaskSender:
    """A Sender of the open model: for a user's locustfile, and for the scenario's own requests without libcurl.

    `locustfile`: watches the user's own locustfile; None: the tasks are those of the scenario. Raises RigError if
    `load.max_users` gives the worker fewer users than there are classes.
    """

    def __init__(
        self,
        plan: Plan,
        place: WorkerId,
        classes: Sequence[type[User]],
        *,
        environment: Any,
        instrumentation: Instrumentation,
        locustfile: LocustfileWatcher | None = None,
    ) -> None:
        load = plan.load
        self._seed = plan.seed
        self._class_weights = tuple(max(1, round(user_class.weight * 1000)) for user_class in classes)
        most = None
        if load.max_users is not None:
            most = shares_of(own_share(load.max_users, load.workers, place.index), self._class_weights)
        self._users = UserPool(classes, environment, instrumentation, most)
        self._instrumentation = instrumentation
        self._locustfile = locustfile
        self._greenlets: dict[gevent.Greenlet, Arrival] = {}
        self._error_log = ErrorLog()

    def warm(self, count: int) -> None:
        """An exception of `on_start` of a locustfile's user ends the process: without that user the load cannot begin.
        Passes on exceptions of the scenario's own users."""
        try:
            self._users.warm(count)
        except UserStartFailed as exc:
            if self._locustfile is not None and exc.has_sent:
                self._locustfile.start_failed(exc.error, exc.answered)
            if self._locustfile is not None:
                self._locustfile.raised(exc.error, FIX_NEW_USER)
                self._locustfile.close()
            raise exc.error from None

    def send(self, arrival: Arrival) -> None:
        self._greenlets[gevent.spawn(self._serve, arrival)] = arrival

    def all_taken(self, slots: int) -> None:
        """If most slots are taken by tasks that wait for no answer, these do not end, and the service is not to blame
        for the arrivals that are dropped. Ends the process then."""
        if self._locustfile is None:
            return
        idle = [greenlet for greenlet, arrival in self._greenlets.items() if arrival.is_idle]
        if 2 * len(idle) <= slots:
            return
        where = self._locustfile.positions.of_frame(idle[0].gr_frame)
        text = f"{len(idle)} of {slots} slots are taken by tasks that wait for no answer"
        self._locustfile.fail(LocustfileNote(kind="endless", text=text, where=where, fix=FIX_ENDLESS))

    def stop(self) -> None:
        gevent.killall(list(self._greenlets), timeout=2)
        self._users.stop()
        self._error_log.tell()

    def _serve(self, arrival: Arrival) -> None:
        """Serves one arrival in a greenlet of its own, which is killed at the end of the drain."""
        slot = None
        outcome = Outcome.NO_REQUEST  # if the task sent no request
        if self._locustfile is not None:
            arrival.began_ns = time.monotonic_ns()
        try:
            slot = self._users.take(request_index(self._seed, arrival.seq, self._class_weights))
            arrival.has_user = True
            slot.user_context.arrival = arrival
            self._instrumentation.at_work(slot.user_context)
            if self._locustfile is not None:
                self._locustfile.tasks += 1
            slot.task_runner.take(partial(request_index, self._seed + 1, arrival.seq))
        except gevent.GreenletExit:
            return
        except StopUser:
            if slot is not None:
                self._users.retire(slot)
                slot.user_context.arrival, slot = None, None
        except NOT_FAILURES:
            pass
        except (Exception, SystemExit, gevent.Timeout) as exc:  # a task may raise anything
            outcome = self._failed(arrival, slot, exc)
        finally:
            self._instrumentation.off_work()
            self._greenlets.pop(gevent.getcurrent(), None)
        if arrival.exchanges and outcome is Outcome.NO_REQUEST:
            outcome = Outcome.BAD_ANSWER  # of a request whose end was not reported
        if slot is not None:
            self._instrumentation.end_task(slot.user_context)
            slot.user_context.remember(arrival)
        self._instrumentation.finish(arrival, outcome, time.monotonic_ns())
        if slot is not None:
            slot.user_context.arrival = None
            self._users.put_back(slot)

    def _failed(self, arrival: Arrival, slot: UserSlot | None, exc: BaseException) -> Outcome:
        """The outcome of an arrival whose task raised; ends the process if the locustfile is to blame."""
        watcher = self._locustfile
        error = exc.error if isinstance(exc, UserStartFailed) else exc
        if watcher is not None:
            if isinstance(error, SystemExit):
                watcher.exited(error)
            if isinstance(error, StopTest):
                watcher.note("stopped", STOP_IGNORED, watcher.positions.of_error(error))
                return Outcome.NO_REQUEST
            if isinstance(exc, UserStartFailed) and not exc.has_sent:
                watcher.raised(error, FIX_NEW_USER)
            elif not arrival.exchanges and slot is not None and slot.user_context.is_healthy:
                watcher.raised(error)
            else:
                name = f"`{arrival.exchanges[-1].name}`" if arrival.exchanges else "a task that sent nothing"
                text = f"{name}: {type(error).__name__} was raised"
                watcher.note("bad_answer", text, watcher.positions.of_error(error))
        if slot is not None:
            user = slot.user
            user.environment.events.user_error.fire(user_instance=user, exception=error, tb=error.__traceback__)
        arrival.spoil(Outcome.BAD_ANSWER)
        self._error_log.note(error)
        return Outcome.BAD_ANSWER
