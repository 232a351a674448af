"""tailgate's view of the stack: a context manager that leaves nothing running, however its block ends.

    with StackClient(run_dir, plan, lease, choice) as stack:
        stack.up(watch)                      # raises RigError, ServiceGone; `watch` may raise to abort
        stack.go()
        for event in stack.events(0.5): …    # until LoadDone or StackDown
        ended = stack.end_load()             # if another load follows
        stack.load(next_plan, next_run_dir, watch)
        stack.go()
        …
        ended = stack.down()                 # ends the load as well if end_load() was not called

The supervisor does all the work. It is a separate process and undoes everything if tailgate is killed. If the
supervisor is killed, `StackClient` cleans up in its place and raises RigError. Every wait has a time limit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from harness.errors import RigError, ServiceGone, TailgateError
from harness.rundir.manifest import RunEnd
from harness.rundir.plan import Plan
from harness.rundir.planned.login import LOGIN_WITHIN_S
from harness.secrets.expand import Expander, refuse_unsendable
from harness.secrets.redact import redact
from harness.stack.child_log import log_tail
from harness.stack.commands import (
    Command,
    DownCommand,
    EndLoadCommand,
    GoCommand,
    LoadCommand,
    StopCommand,
    StopReason,
    UpCommand,
)
from harness.stack.events import ChildStarted, Event, LoadEnded, RigTrouble, StackDown
from harness.stack.events import StackUp as UpEvent
from harness.stack.names import RUN_VARIABLE
from harness.stack.processes import fd_limits, orphans, service
from harness.stack.processes.ports import PortLease
from harness.stack.supervisor import crash_cleanup
from harness.stack.supervisor.client import LOG, SupervisorLink, SupervisorLost
from harness.stack.supervisor.launch import SupervisorProcess
from harness.toxiproxy.find import NONE, EngineChoice

TICK_S: Final = 0.2
UP_S: Final = 60.0
"""Time limit of `up`, in addition to the time that the plan gives the service to become ready."""
DOWN_S: Final = 45.0
"""Longer than `teardown.LONGEST_S`, after which the supervisor's own watchdog kills everything."""


def _unwatched(_event: Event | None) -> None:
    return None


class StackClient:
    """One stack with one load after another.

    `run_dir`: the run directory of the first load; the stack's files are there as well. `lease`: the ports of the run,
    which the caller releases afterwards. `supervisor`: one that was started early, under the id of the stack.
    """

    def __init__(
        self,
        run_dir: Path,
        plan: Plan,
        lease: PortLease,
        engine_choice: EngineChoice = NONE,
        supervisor: SupervisorProcess | None = None,
    ) -> None:
        self._stack_dir = run_dir.resolve()
        self._run_dir = self._stack_dir
        """The run directory of the latest load; for the first load it is `_stack_dir`."""
        self._plan = plan
        self._lease = lease
        self._choice = engine_choice
        self._supervisor = supervisor
        self._link: SupervisorLink | None = None
        self._children: list[psutil.Process] = []
        self._trouble: RigTrouble | None = None
        self._ended: RunEnd | None = None
        self._load_ended: RunEnd | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take everything down. SIGINT is ignored meanwhile, so that a second Ctrl-C cannot cut the rollback short."""
        with crash_cleanup.ignore_signals():
            self._close()

    def up(self, watch: Callable[[Event | None], None] = _unwatched) -> None:
        """Start and probe everything for the first load. `watch` gets each event, and None every 0.2 s in between.

        Raises UsageError (a variable that is not set, too few open files) or RigError before anything is started.
        Later it raises RigError if a child does not become ready, or ServiceGone if the service was ready and then
        ended; nothing is left running in these cases.
        """
        self._check_before()
        admin_port = self._lease.take() if self._choice.kind == "real" and not self._choice.url else None
        supervisor = self._supervisor or SupervisorProcess.start(
            self._plan.stack_id, workers=self._plan.load.workers, fakes=self._plan.has_fakes_process
        )
        self._link = SupervisorLink.start(supervisor, self._stack_dir, self._lease)
        self._send(
            UpCommand(
                engine_kind=self._choice.kind,
                engine_source=self._choice.source,
                engine_version=self._choice.version,
                engine_path=self._choice.path,
                engine_url=self._choice.url,
                admin_port=admin_port,
                lock_files=self._lease.lock_files,
            )
        )
        self._await_ready(watch)

    def load(self, plan: Plan, run_dir: Path, watch: Callable[[Event | None], None] = _unwatched) -> None:
        """Make another load ready on the running stack. Call `end_load` for the load before it first.

        `plan` must have the same stack and another run id, and must be written to `run_dir` already. Raises ValueError
        if it has not. Otherwise raises as `up` does, with nothing left running.
        """
        if plan.stack != self._plan.stack or plan.run_id == self._plan.run_id:
            raise ValueError("another load needs a plan for this stack, with a run id of its own")
        fd_limits.refuse_too_many(plan)
        self._plan, self._run_dir = plan, run_dir.resolve()
        self._load_ended = None
        self._send(LoadCommand(run_dir=self._run_dir))
        self._await_ready(watch)

    def _await_ready(self, watch: Callable[[Event | None], None]) -> None:
        commands = [upstream.command.ready_within_ms for upstream in self._plan.upstreams if upstream.command]
        within_ms = self._plan.service.ready_within_ms + max(commands, default=0.0)
        within_ms += self._plan.load.remote.join_within_ms if self._plan.load.remote else 0.0
        login_s = LOGIN_WITHIN_S if self._plan.load.login else 0.0
        give_up = time.monotonic() + UP_S + login_s + within_ms / 1000
        while time.monotonic() < give_up:
            event = self._next(TICK_S)
            watch(event)
            if isinstance(event, UpEvent):
                return
            if isinstance(event, StackDown):
                raise self._failure()
        raise self._clean_up("the supervisor did not say in time whether the stack is up")

    def go(self) -> None:
        """Start the load. `events` yields LoadStarted when it begins and LoadDone when it ends."""
        self._send(GoCommand())

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Yield each event of the next `timeout_s` seconds as it happens. Stops early after LoadDone and StackDown.

        Raises RigError if the supervisor has vanished; whatever it left running is ended by then.
        """
        end = time.monotonic() + timeout_s
        while (left_s := end - time.monotonic()) > 0:
            event = self._next(left_s)
            if event is None:
                return
            yield event
            if event.event in ("load_done", "down"):
                return

    def stop(self, at_ns: int, reason: StopReason) -> None:
        """End the load early: send no arrival intended at `at_ns` (monotonic) or later, and remove the faults."""
        self._send(StopCommand(at_ns=at_ns, reason=reason))

    def end_load(self) -> RunEnd:
        """Undo the load's faults, end its workers, close its records. The stack stays up. Returns how the load ended.

        Raises RigError if the supervisor has vanished or hangs. Raises RigError or ServiceGone if the whole stack ended
        instead.
        """
        self._send(EndLoadCommand())
        give_up = time.monotonic() + DOWN_S
        while self._load_ended is None:
            if (left_s := give_up - time.monotonic()) <= 0:
                raise self._clean_up("the supervisor hangs: it did not end the load in time")
            self._next(left_s)
            if self._ended:
                raise self._failure()
        return self._load_ended

    def down(self) -> RunEnd:
        """Take everything down and return how it ended. Idempotent. Raises RigError if the supervisor is lost."""
        if self._ended is None:
            self._send(DownCommand())
            self._await_down(DOWN_S)
        assert self._ended is not None
        return self._ended

    @property
    def stood_still_s(self) -> float:
        """The longest time in seconds for which tailgate itself did not run (SIGSTOP); 0 if it always ran."""
        return self._link.stood_still_s if self._link else 0.0

    def _check_before(self) -> None:
        """End the orphans of killed runs. Then raise for what can be known to fail before anything is started."""
        orphans.sweep()
        environ = {**os.environ, RUN_VARIABLE: self._plan.stack_id}
        refuse_unsendable(self._plan, environ)
        expand = Expander(environ)
        try:
            service.spec(self._plan, self._stack_dir, environ, expand)
            if any(upstream.command for upstream in self._plan.upstreams):
                # imported here because it brings an event loop, which tailgate has no other use for
                from harness.stack.processes import upstream_command

                upstream_command.specs(self._plan, self._stack_dir, environ, expand)
        except TailgateError as exc:
            exc.message = redact(exc.message, expand.secrets)
            raise
        fd_limits.refuse_too_many(self._plan)
        for upstream in self._plan.upstreams:
            if upstream.borrowed is not None or not self._plan.network.is_shared:
                continue  # Toxiproxy listens there already, or in another network
            self._lease.claim(upstream.listener.port, f"the listener of upstream {upstream.name}")

    def _send(self, order: Command) -> None:
        assert self._link is not None, "up() comes first"
        self._link.send(order)

    def _next(self, timeout_s: float) -> Event | None:
        """The next event; None after `timeout_s`. Raises RigError, after cleaning up, if the supervisor is lost."""
        assert self._link is not None, "up() comes first"
        try:
            event = self._link.next(timeout_s)
        except SupervisorLost as lost:
            if self._ended is None:
                raise self._clean_up(str(lost)) from None
            return None
        match event:
            case ChildStarted(pid=pid):
                self._remember(pid)
            case RigTrouble():
                self._trouble = self._trouble or event
            case LoadEnded(ended=ended):
                self._load_ended = ended
            case StackDown(ended=ended):
                self._ended = ended
        return event

    def _remember(self, pid: int) -> None:
        try:
            self._children.append(psutil.Process(pid))  # psutil keeps the start time, so a reused pid is recognised
        except psutil.Error:
            return

    def _await_down(self, within_s: float) -> None:
        end = time.monotonic() + within_s
        while self._ended is None:
            if (left_s := end - time.monotonic()) <= 0:
                raise self._clean_up("the supervisor hangs: it did not take the stack down in time")
            self._next(left_s)

    def _failure(self) -> TailgateError:
        """Why the stack did not come up, from the supervisor's events."""
        assert self._ended is not None
        if self._ended.reason == "service_gone" and self._ended.deaths:
            death = self._ended.deaths[-1]
            return ServiceGone(
                f"the service got ready and then ended with code {death.code}: {death.last_line}",
                "see logs/sut.log in the run directory",
            )
        if self._trouble:
            return RigError(self._trouble.fault.message, self._trouble.fault.fix)
        return RigError("the supervisor was told to stop before the stack was up", "run again")

    def _clean_up(self, message: str) -> RigError:
        """Clean up in place of the supervisor. Returns the error that says what happened."""
        assert self._link is not None
        with crash_cleanup.ignore_signals():
            self._link.end(0)
            tail = log_tail(self._stack_dir / "logs" / LOG, 1)
            folders = dict.fromkeys((self._stack_dir, self._run_dir))
            fault = crash_cleanup.clean_up(
                self._plan, tuple(folders), self._choice, self._children, message + _because(tail)
            )
            self._ended = crash_cleanup.finish_manifest(self._run_dir, fault)
        return RigError(fault.message, fault.fix)

    def _close(self) -> None:
        if self._link is None:
            return
        if self._ended is None:
            self._link.hang_up()  # the supervisor takes the end of its stdin as "undo everything"
            with suppress(RigError):  # the error that ended the block matters more, and the cleanup is done
                self._await_down(DOWN_S)
        self._link.end(5.0)
        with suppress(OSError):  # the run directory may have been deleted
            log = self._stack_dir / "logs" / LOG
            if not log.stat().st_size:
                log.unlink()


def _because(tail: list[str]) -> str:
    return f": {tail[0]}" if tail else ""
