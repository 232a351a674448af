"""The locustfile of a worker (`locust --headless -f`): builds one worker of a run from its plan.

It reads the plan, gives Locust the user classes to run, and handles the end of the process. `open_model` and
`closed_model` do the work. Only Locust may import it.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
from locust import User, events, task
from locust.exception import StopUser

from harness.errors import TailgateError
from harness.rundir.handshake import Handshake
from harness.rundir.plan import Plan
from harness.secrets.expand import Expander, known_secrets
from scenarios.drive.command import WorkerId, add_arguments, worker_id_of
from scenarios.drive.incomplete import IncompleteAnswers
from scenarios.drive.instrumentation import Instrumentation
from scenarios.drive.login.signing_in import SigningIn
from scenarios.drive.models.closed_model import ClosedModel
from scenarios.drive.models.open_model import OpenModel
from scenarios.drive.planned_requests import PlannedRequests
from scenarios.drive.recorder import Recorder, die
from scenarios.drive.scenario_user import scenario_user
from scenarios.drive.user_file import load_user_classes
from scenarios.drive.watch import StopWatch


@contextmanager
def report_crash() -> Iterator[None]:
    """Ends the process on an exception; for the top of a greenlet or of the process. Locust would log the exception and
    wait for ever."""
    try:
        yield
    except TailgateError as exc:
        die(str(exc).replace("\n", "; "))
    except (gevent.GreenletExit, KeyboardInterrupt):
        raise
    except BaseException as exc:  # also sys.exit in a locustfile: a worker that exits early has failed
        traceback.print_exc()
        die(traceback.format_exception_only(exc)[-1].strip())


class Worker:
    """The parts of one worker."""

    def __init__(self, place: WorkerId) -> None:
        self.place = place
        self.plan = Plan.read(place.run_dir)
        random.seed(f"{self.plan.seed}/{place.index}")  # a locustfile's random numbers repeat when the run is replayed
        self.recorder = Recorder(place.run_dir, place.index)
        self.handshake = Handshake(place.run_dir, place.index)
        secrets = known_secrets(self.plan, os.environ)
        incomplete = IncompleteAnswers(self.plan, place, secrets)
        self.meter = Instrumentation(self.plan, self.recorder, incomplete)
        self.watch = StopWatch(self.handshake, self.recorder)
        self.planned = None
        self.signing_in = None
        if self.plan.load.locustfile is None:
            self.planned = PlannedRequests(self.plan, Expander(os.environ))
            if self.plan.load.login is not None:
                self.signing_in = SigningIn(self.plan, place, self.planned, secrets)
        self.classes = self._user_classes()

    def sign_in(self, environment: Any) -> None:
        """Before the load. Raises RigError."""
        if self.signing_in is not None:
            self.signing_in.begin(environment, self.handshake, self.meter.deadline_s)

    def run_open(self, environment: Any) -> None:
        with report_crash():
            self.sign_in(environment)
            model = OpenModel(
                self.plan, self.place, self.classes, meter=self.meter, recorder=self.recorder, watch=self.watch
            )
            model.run(environment, self.handshake)
        gevent.spawn(environment.runner.quit)  # in another greenlet, since it kills the current one

    def end(self) -> None:
        """Sends nothing more and closes the row file, whatever is in flight. May be called more than once."""
        self.watch.stop_at_ns = self.watch.ends_ns(time.monotonic_ns())
        self.meter.abandon()
        self.recorder.close()

    def _user_classes(self) -> tuple[type[User], ...]:
        load = self.plan.load
        if load.locustfile is not None:
            return load_user_classes(Path(load.locustfile), arrivals_are_planned=load.model == "open")
        assert self.planned is not None
        return (scenario_user(self.planned),)


class Arrivals(User):
    """The only user of the open model, with a single task: to send all arrivals."""

    abstract = True

    @task
    def everything(self) -> None:
        worker.run_open(self.environment)
        raise StopUser


def listen(listener: Callable[..., object], *, to: Any) -> None:
    to.add_listener(listener)


def on_end(environment: Any, **_: object) -> None:
    environment.stop_timeout = None  # do not wait: nothing is recorded after this
    worker.end()


def on_quitting(environment: Any, **_: object) -> None:
    on_end(environment)
    gc.freeze()  # a worker that exits would search all of Locust for garbage, and the end of the run waits for its exit


def show_users() -> None:
    """Puts the user classes where Locust looks for them: among the names of this module."""
    if worker.plan.load.model == "open":
        Arrivals.abstract = False
        return
    model = ClosedModel(worker.plan, worker.place, worker.meter, worker.watch)
    globals().update(model.measured(worker.classes))

    def hold(environment: Any, **_: object) -> None:
        with report_crash():
            worker.sign_in(environment)
            model.hold(worker.handshake, environment)

    listen(hold, to=events.test_start)


logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
logging.getLogger("locust.stats_logger").setLevel(
    logging.WARNING
)  # its tables count from the send time, not the intended one
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # exceeding the file size limit then raises OSError, which is reported
with report_crash():
    worker = Worker(worker_id_of(sys.argv[1:]))
    show_users()
worker.watch.start()
listen(add_arguments, to=events.init_command_line_parser)
listen(worker.meter.on_request, to=events.request)
listen(on_end, to=events.test_stop)
listen(on_quitting, to=events.quitting)
