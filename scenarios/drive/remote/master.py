"""Locust's master for a load whose workers are on other machines: a child of the supervisor that only passes on.

    python -P -m scenarios.drive.remote.master RUN_DIR

Locust distributes the users and starts them; `harness.remote.relay` does everything else. Two habits of Locust's master
would spoil a run and are switched off: it starts the users again, on the others, when a worker is silent for 4 s, comes
back or leaves, and it admits workers at any time. Exit 0: every row of every worker is in the run directory. Otherwise
the last line of stderr says why, and the workers were told to end.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import gevent
from locust import User, runners, task
from locust.env import Environment
from locust.event import Events
from locust.exception import RPCError
from locust.rpc import Message

from harness.errors import RigError, TailgateError
from harness.model.frozen import Frozen
from harness.remote.curve_keys import read_keys
from harness.remote.messages import TYPE, data_of
from harness.remote.relay import Relay, RelayStage
from harness.rundir.plan import Plan
from scenarios.drive.login.token_pipe import TokenPipe
from scenarios.drive.recorder import die
from scenarios.drive.remote.secure_sockets import secure
from scenarios.drive.user_code.target_guard import TargetGuard
from scenarios.drive.user_code.user_file import find_user_classes

_TICK_S = 0.01
_NEVER = 10**9
_END_S = 5.0
"""How long workers may take to deliver their rows when the supervisor ends the load. Shorter than its patience."""
_FAREWELL_S = 0.5
"""How long the last messages may take before the process ends."""

_MESSAGE: Callable[..., Any] = Message
_EVENTS: Callable[[], Any] = Events

log = logging.getLogger("tailgate.master")


class _RelayRunner(runners.MasterRunner):
    """Passes our messages to the relay, and the others to Locust."""

    relay: Relay | None = None
    trouble: BaseException | None = None
    is_dispatched = False

    def start(self, *args: Any, **kwargs: Any) -> None:
        """Starts the users once: Locust would start them again, on the others, whenever a worker comes or goes."""
        if not self.is_dispatched:
            self.is_dispatched = True
            super().start(*args, **kwargs)

    def handle_message(self, client_id: str, msg: Any) -> None:
        if msg.type != TYPE:
            late = self.relay is None or self.relay.stage is not RelayStage.PREPARING
            if msg.type == "client_ready" and late and client_id not in self.clients:
                log.warning("a Locust worker that does not belong to this load wants to join; it gets no answer")
                return
            super().handle_message(client_id, msg)
            return
        try:
            if self.relay:
                self.relay.receive(client_id, msg.data, time.monotonic_ns())
        except Exception as exc:  # the listener must go on, so that the workers can be told
            self.trouble = self.trouble or exc

    def tell(self, client_id: str, message: Frozen) -> None:
        self.server.send_to_client(_MESSAGE(TYPE, data_of(message), client_id))


def run(run_dir: Path) -> None:
    """Serves one load. Raises RigError, UsageError and OSError; the workers were told then."""
    plan = Plan.read(run_dir)
    remote = plan.load.remote
    if remote is None:
        raise RigError("the plan has no workers on other machines")
    secure(read_keys(Path(remote.token_file)))
    runner = _listening(plan, remote.listen.host, remote.listen.port)
    runner.relay = relay = Relay(plan, run_dir, runner.tell, TokenPipe(os.environ).report)
    gevent.signal_handler(signal.SIGTERM, _leave, relay)
    log.info("waiting for %d workers on %s", plan.load.workers, remote.listen.address)
    try:
        _serve(runner, relay, plan)
    except BaseException as exc:
        relay.abort(str(exc) if isinstance(exc, TailgateError) else "the master of this load failed")
        gevent.sleep(_FAREWELL_S)
        raise
    gevent.sleep(_FAREWELL_S)


def _serve(runner: _RelayRunner, relay: Relay, plan: Plan) -> None:
    parent, users = os.getppid(), plan.load.users or plan.load.workers
    declined, here = "", set[str]()
    while relay.stage is not RelayStage.DONE:
        relay.tick(time.monotonic_ns())
        if runner.trouble:
            raise runner.trouble
        if os.getppid() != parent:
            raise RigError("the supervisor of the run is gone")
        for name in {member.name for member in relay.roster.members} - here:
            log.info("%s has joined", name)
            here.add(name)
        if relay.declined != declined:
            declined = relay.declined
            log.warning("%s", declined)
        if not runner.is_dispatched and len(runner.clients.ready) == plan.load.workers:
            gevent.spawn(runner.start, users, users)
            gevent.sleep(0)  # it has begun then, and is not begun again
        gevent.sleep(_TICK_S)


def _listening(plan: Plan, host: str, port: int) -> _RelayRunner:
    """Raises RigError if the address cannot be listened on."""
    runners.HEARTBEAT_LIVENESS = _NEVER
    environment = Environment(user_classes=_user_classes(plan), events=_EVENTS(), host=plan.gateway.target)
    try:
        runner = _RelayRunner(environment, f"[{host}]" if ":" in host else host, port)
    except (RPCError, SystemExit) as exc:
        why = "it is in use" if isinstance(exc, SystemExit) else str(exc)
        raise RigError(
            f"{host}:{port} cannot be listened on for workers: {why}", "give --listen another address of this machine"
        ) from exc
    environment.runner = runner
    return runner


def _user_classes(plan: Plan) -> list[type[User]]:
    """Classes with the names, weights and counts of those in the workers, of which the master makes no instances."""
    if plan.load.model == "closed" and plan.load.locustfile is not None:
        TargetGuard(plan.load.allowed_targets, _refuse_host).install()
        return list(find_user_classes(Path(plan.load.locustfile))[0])

    def nothing(_user: User) -> None:
        return None

    name = "PlannedUser" if plan.load.model == "closed" else "Arrivals"
    return [type(name, (User,), {"abstract": False, "tasks": [task(nothing)]})]


def _refuse_host(host: str) -> NoReturn:
    raise RigError(
        f"the locustfile asks {host} while it is imported, which is not on this machine; nothing was sent there",
        f"add --allow-target {host} if it may be asked",
    )


def _leave(relay: Relay) -> None:
    """SIGTERM: the supervisor ends the load. Rows that exist are still taken, for some seconds."""
    if relay.end_now():
        gevent.sleep(_END_S)
    relay.abort("the run was ended")
    gevent.sleep(_FAREWELL_S)
    os._exit(0)


def main() -> None:
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        run(Path(sys.argv[1]))
    except TailgateError as exc:
        die(str(exc).replace("\n", "; "))
    except OSError as exc:
        die(f"the rows of the workers cannot be written: {exc}")
    except BaseException as exc:
        traceback.print_exc()
        die(traceback.format_exception_only(exc)[-1].strip())
    os._exit(0)  # not `sys.exit`: nothing is left to be done, and Locust's own end would only cost time


if __name__ == "__main__":
    main()
