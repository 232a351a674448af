"""Serves arrivals by the tasks of Locust users: a greenlet and a user instance for each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import gevent
from locust import User
from locust.exception import StopTest, StopUser

from harness.rundir.rows import Outcome
from scenarios.drive.arrival import Arrival
from scenarios.drive.instrumentation import Instrumentation
from scenarios.drive.models.error_log import ErrorLog
from scenarios.drive.models.user_pool import UserPool
from scenarios.drive.recorder import die
from scenarios.load import request_index


class TaskSender:
    """A Sender of the open model: for a user's locustfile, and for the scenario's own requests without libcurl."""

    def __init__(self, classes: Sequence[type[User]], environment: Any, meter: Instrumentation, seed: int) -> None:
        self._seats = UserPool(classes, environment, meter)
        self._meter = meter
        self._seed = seed
        self._class_weights = tuple(max(1, round(user_class.weight * 1000)) for user_class in classes)
        self._greenlets: set[gevent.Greenlet] = set()
        self._troubles = ErrorLog()

    def warm(self, count: int) -> None:
        """Exceptions of a user's `on_start` are passed on."""
        self._seats.warm(count)

    def send(self, arrival: Arrival) -> None:
        self._greenlets.add(gevent.spawn(self._serve, arrival))

    def stop(self) -> None:
        gevent.killall(list(self._greenlets), timeout=2)
        self._seats.stop()
        self._troubles.tell()

    def _serve(self, arrival: Arrival) -> None:
        """Serves one arrival in a greenlet of its own, which is killed at the end of the drain."""
        seat = None
        outcome = Outcome.BAD_ANSWER  # if the task sent no request, or did not report its end
        try:
            seat = self._seats.take(request_index(self._seed, arrival.seq, self._class_weights))
            seat.desk.arrival = arrival
            self._meter.at_work(seat.desk)
            seat.turns.take(partial(request_index, self._seed + 1, arrival.seq))
        except gevent.GreenletExit:
            return
        except StopUser:
            seat = None
        except StopTest as exc:
            die(f"a task stopped the test: {exc}")
        except (Exception, gevent.Timeout) as exc:  # a task may raise anything; only its own arrival fails
            arrival.spoil(outcome)
            self._troubles.note(exc)
        finally:
            self._meter.off_work()
            self._greenlets.discard(gevent.getcurrent())
        self._meter.finish(arrival, outcome, time.monotonic_ns())
        if seat is not None:
            seat.desk.arrival = None
            self._seats.put_back(seat)
