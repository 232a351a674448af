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
from locust import User, events, runners, task
from locust.exception import StopUser

from harness.errors import RigError, TailgateError
from harness.remote.curve_keys import read_keys
from harness.rundir.handshake import Handshake
from harness.rundir.plan import Plan
from harness.secrets.expand import Expander, known_secrets
from scenarios.drive.command import WorkerId, add_arguments, sends_by_libcurl, worker_id_of
from scenarios.drive.incomplete import IncompleteAnswers
from scenarios.drive.instrumentation import Instrumentation
from scenarios.drive.login.signing_in import SigningIn
from scenarios.drive.models.closed_model import ClosedModel
from scenarios.drive.models.open_model import OpenModel, Sender
from scenarios.drive.models.task_sender import TaskSender
from scenarios.drive.planned_requests import PlannedRequests
from scenarios.drive.recorder import Recorder, die
from scenarios.drive.scenario_user import scenario_user
from scenarios.drive.user_code.position import missing_file_hint
from scenarios.drive.user_code.user_code import UserCode, expanded_options
from scenarios.drive.user_code.user_file import keep_tagged, load_user_classes
from scenarios.drive.watch import StopWatch

NEVER_S = 10**9


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
        die(traceback.format_exception_only(exc)[-1].strip() + missing_file_hint(exc))


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
        self.user_code = UserCode.of(self.plan, place, os.environ, secrets)
        if self.user_code is not None:
            self.user_code.watcher.before_exit = self.recorder.close
        self.instrumentation = Instrumentation(
            self.plan, self.recorder, incomplete, self.user_code.requests if self.user_code else None
        )
        beat = self.user_code.beat if self.user_code else lambda: None
        self.watch = StopWatch(self.handshake, self.recorder, beat, tidy_up=place.tidy_up)
        self.is_over = False
        self.planned = None
        self.signing_in = None
        if self.user_code is None:
            self.planned = PlannedRequests(self.plan, Expander(os.environ))
            if self.plan.load.login is not None:
                self.signing_in = SigningIn(self.plan, place, self.planned, secrets)
        self.classes = self._user_classes()
        self._begun = False

    def begin(self, environment: Any) -> None:
        """Locust has read its options and made its runner; nothing runs yet."""
        if self.user_code is not None:
            keep_tagged(self.classes, environment.parsed_options)
            # Locust filters the classes that it knows, of which the open model has only `Arrivals`
            vars(Arrivals.everything)["locust_tag_set"] = set(environment.parsed_options.tags or ())
            self.user_code.hold_runner(environment, lambda: self.is_over, is_open=self.plan.load.model == "open")

    def await_service(self, environment: Any) -> None:
        """Before the load: the sessions sign in when the service is ready. A locustfile may log in when its users
        start, so they start then too. Raises RigError."""
        if self.user_code is not None:
            self.handshake.await_service()
        if self.signing_in is not None:
            self.signing_in.begin(environment, self.handshake, self.instrumentation.deadline_s)

    def run_open(self, environment: Any) -> None:
        if self._begun:  # Locust may start a user again, when it believes that a worker was away
            return
        self._begun = True
        with report_crash():
            self.await_service(environment)
            sender = self._sender(environment)
            OpenModel(
                self.plan,
                self.place,
                sender,
                instrumentation=self.instrumentation,
                recorder=self.recorder,
                watch=self.watch,
            ).run(self.handshake)
        self.is_over = True
        gevent.spawn(environment.runner.quit)  # in another greenlet, since it kills the current one

    def end(self, environment: Any) -> None:
        """Sends nothing more and closes the row file, whatever is in flight. May be called more than once."""
        self.is_over = True
        self.watch.stop_at_ns = self.watch.ends_ns(time.monotonic_ns())
        self.instrumentation.abandon()
        self.recorder.close()
        if self.user_code is not None:
            self.user_code.end(environment)

    def _sender(self, environment: Any) -> Sender:
        if self.planned is not None and sends_by_libcurl(self.plan.load):
            try:
                from scenarios.drive.curl.sender import CurlSender
            except ImportError as exc:
                fix = "install it anew, or remove it, and FastHttpUser sends"
                raise RigError(f"pycurl is installed and cannot be imported ({exc}): {fix}") from exc
            return CurlSender(self.plan, self.planned, self.instrumentation)
        watcher = self.user_code.watcher if self.user_code else None
        return TaskSender(
            self.plan,
            self.place,
            self.classes,
            environment=environment,
            instrumentation=self.instrumentation,
            locustfile=watcher,
        )

    def _user_classes(self) -> tuple[type[User], ...]:
        load = self.plan.load
        if self.user_code is not None and load.locustfile is not None:
            if self.place.folder is not None:
                os.chdir(self.place.folder)
            return load_user_classes(
                Path(load.locustfile), self.user_code.watcher, arrivals_are_planned=load.model == "open"
            )
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
    worker.end(environment)


def on_quitting(environment: Any, **_: object) -> None:
    on_end(environment)
    gc.freeze()  # a worker that exits would search all of Locust for garbage, and the end of the run waits for its exit


def join_master(token_file: Path) -> None:
    """Lets Locust speak to its master with the keys of the token file. That the master is alive is watched by the
    parent process, more closely than by Locust."""
    from scenarios.drive.remote.secure_sockets import secure

    secure(read_keys(token_file))
    runners.MASTER_HEARTBEAT_TIMEOUT = NEVER_S


def show_users() -> None:
    """Puts the user classes where Locust looks for them: among the names of this module."""
    if worker.plan.load.model == "open":
        Arrivals.abstract = False
        return
    watcher = worker.user_code.watcher if worker.user_code else None
    model = ClosedModel(worker.plan, worker.place, worker.instrumentation, worker.watch, watcher)
    globals().update(model.measured(worker.classes))

    def hold(environment: Any, **_: object) -> None:
        with report_crash():
            worker.await_service(environment)
            model.hold(worker.handshake, environment)

    listen(hold, to=events.test_start)


def on_init(environment: Any, **_: object) -> None:
    with report_crash():
        worker.begin(environment)


logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
logging.getLogger("locust.stats_logger").setLevel(
    logging.WARNING
)  # its tables count from the send time, not the intended one
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # exceeding the file size limit then raises OSError, which is reported
# before the locustfile adds its own: `quitting` is fired in reverse order, so this listener is the last one
listen(on_quitting, to=events.quitting)
listen(on_init, to=events.init)
with report_crash():
    worker = Worker(worker_id_of(sys.argv[1:]))
    sys.argv[1:] = expanded_options(sys.argv[1:], worker.plan, os.environ)
    show_users()
    if worker.place.token_file is not None:
        join_master(worker.place.token_file)
worker.watch.start()
listen(add_arguments, to=events.init_command_line_parser)
listen(worker.instrumentation.on_request, to=events.request)
listen(on_end, to=events.test_stop)
