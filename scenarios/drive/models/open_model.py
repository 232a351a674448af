"""The open model: sends each arrival of the plan at its time, whether or not earlier ones have ended.

A single Locust user runs the dispatcher. Each arrival gets a greenlet and a user instance. If `max_in_flight` arrivals
are open already, it is recorded as dropped. The dispatcher never waits for an answer.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import gevent
from locust import User
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser

from harness.rundir.handshake import Handshake
from harness.rundir.locustfile.notes import LocustfileNote
from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS, NS_PER_S
from scenarios.drive.arrival import Arrival
from scenarios.drive.command import WorkerId, own_share, shares_of
from scenarios.drive.instrumentation import Instrumentation
from scenarios.drive.models.error_log import ErrorLog
from scenarios.drive.models.user_pool import UserPool, UserSlot, UserStartFailed
from scenarios.drive.recorder import Recorder
from scenarios.drive.user_code.watcher import LocustfileWatcher
from scenarios.drive.watch import LOOK_EVERY_S, StopWatch
from scenarios.load import PlannedArrivals, planned_peak_per_s, request_index

SPIN_BELOW_PER_S = 250
"""The event loop rounds a sleep up to whole milliseconds. Below this rate the last millisecond is spent in a busy loop
instead, which is exact to some µs and takes at most an eighth of a core. Above it a millisecond of lag is accepted."""

NOT_FAILURES: Final = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately)
FIX_NEW_USER: Final = (
    "each new user runs `on_start`; if it takes one of a few accounts, write their number as `load.max_users`"
)
FIX_ENDLESS: Final = (
    "end the task after its requests, or give waits in it more room by `load.max_in_flight`; with `load.users` a task "
    "may go on"
)
STOP_IGNORED: Final = "ignored: the scenario says how long the load lasts"
SEATS_LEAST = 8
SEATS_MOST = 500


class OpenModel:
    """One worker's part of the plan, from start to the closed row file."""

    def __init__(
        self,
        plan: Plan,
        place: WorkerId,
        classes: Sequence[type[User]],
        *,
        meter: Instrumentation,
        recorder: Recorder,
        watch: StopWatch,
        locustfile: LocustfileWatcher | None = None,
    ) -> None:
        load = plan.load
        self._plan = plan
        self._place = place
        self._classes = classes
        self._meter = meter
        self._recorder = recorder
        self._watch = watch
        self._locustfile = locustfile
        self._peak_per_s = planned_peak_per_s(load) / load.workers
        self._slots = max(1, own_share(load.max_in_flight, load.workers, place.index))
        self._class_weights = tuple(max(1, round(user_class.weight * 1000)) for user_class in classes)
        self._spins = self._peak_per_s <= SPIN_BELOW_PER_S
        self._greenlets: dict[gevent.Greenlet, Arrival] = {}
        self._troubles = ErrorLog()

    def run(self, environment: Any, handshake: Handshake) -> None:
        """Raises RigError if the supervisor does not answer; exceptions of a user's `on_start` are passed on."""
        planned = PlannedArrivals.of(self._plan.load, self._plan.seed)
        seats = UserPool(self._classes, environment, self._meter, self._most_users())
        self._warm(seats, min(max(SEATS_LEAST, math.ceil(self._peak_per_s)), self._slots, SEATS_MOST))
        gc.collect()
        gc.freeze()  # garbage collections then skip everything that exists by now
        handshake.ready()
        t0_ns = handshake.t0_ns()
        self._meter.start(t0_ns)
        self._send(planned, t0_ns, seats)
        self._drain(t0_ns + round(self._plan.load.duration_ms * NS_PER_MS))
        self._recorder.close()
        seats.stop()
        self._troubles.tell()

    def _send(self, planned: PlannedArrivals, t0_ns: int, seats: UserPool) -> None:
        for seq in range(self._place.index, len(planned), self._plan.load.workers):
            due_ns = t0_ns + planned.at_ns[seq]
            if not self._wait_until(due_ns):
                return
            arrival = Arrival(seq, due_ns, planned.request_of(seq), planned.turn_of(seq))
            if self._meter.in_flight >= self._slots:
                self._blame_endless_tasks()
                self._meter.finish(arrival, Outcome.DROPPED, time.monotonic_ns())
                continue
            self._meter.open(arrival)
            greenlet = gevent.spawn(self._serve, arrival, seats)
            self._greenlets[greenlet] = arrival

    def _wait_until(self, due_ns: int) -> bool:
        """Waits until `due_ns`. False if the load is stopped before."""
        while True:
            stop_at_ns = self._watch.stop_at_ns
            if stop_at_ns is not None and due_ns >= stop_at_ns:
                return False
            left_ns = due_ns - time.monotonic_ns()
            if left_ns <= 0:
                gevent.sleep(0)  # late: let other greenlets send what is due before more is started
                return True
            if left_ns < NS_PER_MS and not self._spins:
                gevent.sleep(left_ns / NS_PER_S)
            else:
                whole_ms = left_ns // NS_PER_MS
                gevent.sleep(min(whole_ms / 1000 - 0.0005, LOOK_EVERY_S) if whole_ms else 0)

    def _warm(self, seats: UserPool, count: int) -> None:
        try:
            seats.warm(count)
        except UserStartFailed as exc:
            if self._locustfile is not None and not exc.has_sent:
                self._locustfile.raised(exc.error, FIX_NEW_USER)
                self._locustfile.close()
            raise exc.error from None

    def _most_users(self) -> tuple[int, ...] | None:
        most, load = self._plan.load.max_users, self._plan.load
        if most is None:
            return None
        return shares_of(own_share(most, load.workers, self._place.index), self._class_weights)

    def _serve(self, arrival: Arrival, seats: UserPool) -> None:
        """Serves one arrival in a greenlet of its own, which is killed at the end of the drain."""
        seed = self._plan.seed
        seat = None
        outcome = Outcome.NO_REQUEST  # if the task sent no request
        if self._locustfile is not None:
            arrival.began_ns = time.monotonic_ns()
        try:
            seat = seats.take(request_index(seed, arrival.seq, self._class_weights))
            arrival.has_user = True
            seat.desk.arrival = arrival
            self._meter.at_work(seat.desk)
            if self._locustfile is not None:
                self._locustfile.tasks += 1
            seat.turns.take(partial(request_index, seed + 1, arrival.seq))
        except gevent.GreenletExit:
            return
        except StopUser:
            if seat is not None:
                seats.retire(seat)
                seat.desk.arrival, seat = None, None
        except NOT_FAILURES:
            pass
        except (Exception, SystemExit, gevent.Timeout) as exc:  # a task may raise anything
            outcome = self._failed(arrival, seat, exc)
        finally:
            self._meter.off_work()
            self._greenlets.pop(gevent.getcurrent(), None)
        if arrival.exchanges and outcome is Outcome.NO_REQUEST:
            outcome = Outcome.BAD_ANSWER  # of a request whose end was not reported
        if seat is not None:
            self._meter.end_task(seat.desk)
            seat.desk.remember(arrival)
        self._meter.finish(arrival, outcome, time.monotonic_ns())
        if seat is not None:
            seat.desk.arrival = None
            seats.put_back(seat)

    def _failed(self, arrival: Arrival, seat: UserSlot | None, exc: BaseException) -> Outcome:
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
            elif not arrival.exchanges and seat is not None and seat.desk.is_healthy:
                watcher.raised(error)
        if seat is not None:
            user = seat.user
            user.environment.events.user_error.fire(user_instance=user, exception=error, tb=error.__traceback__)
        arrival.spoil(Outcome.BAD_ANSWER)
        self._troubles.note(error)
        return Outcome.BAD_ANSWER

    def _blame_endless_tasks(self) -> None:
        """Every slot is taken. If most of them are taken by tasks that wait for no answer, these do not end, and the
        service is not to blame for the arrivals that are dropped."""
        if self._locustfile is None:
            return
        idle = [greenlet for greenlet, arrival in self._greenlets.items() if arrival.is_idle]
        if 2 * len(idle) <= self._slots:
            return
        where = self._locustfile.positions.of_frame(idle[0].gr_frame)
        text = f"{len(idle)} of {self._slots} slots are taken by tasks that wait for no answer"
        self._locustfile.fail(LocustfileNote(kind="endless", text=text, where=where, fix=FIX_ENDLESS))

    def _drain(self, planned_ns: int) -> None:
        """Waits for the end of the load, then at most the drain for open arrivals; the rest is unfinished."""
        drain_ns = round(self._plan.load.drain_ms * NS_PER_MS)
        while True:
            over_ns = time.monotonic_ns() - self._watch.ends_ns(planned_ns)
            if over_ns >= drain_ns or (over_ns >= 0 and not self._meter.in_flight):
                break
            gevent.sleep(0.01)
        self._meter.abandon()
        gevent.killall(list(self._greenlets), timeout=2)
