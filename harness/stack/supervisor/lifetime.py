"""The supervisor: parent of every child, sole client of Toxiproxy's API, and responsible for undoing everything.

The end of stdin, a signal, or a tailgate that sends no heartbeat means "undo everything", which takes at most 15 s. The
supervisor exits only after every process, toxic and temporary file of the run is gone.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from harness.rundir.manifest import TAILGATE, HarnessFault
from harness.rundir.plan import Plan
from harness.secrets.expand import Expander, known_secrets
from harness.secrets.redact import redact_files
from harness.stack.commands import (
    COMMAND,
    DownCommand,
    EndLoadCommand,
    GoCommand,
    HeartbeatCommand,
    LoadCommand,
    StopCommand,
    UpCommand,
)
from harness.stack.environment import Environment, import_client
from harness.stack.events import Heartbeat, LoadEnded, StackDown, StackUp
from harness.stack.load.active_load import ActiveLoad, import_canaries
from harness.stack.processes import ports
from harness.stack.run_state import Reason, fault_of
from harness.stack.standby.pool import StandbyPool
from harness.stack.supervisor import crash_cleanup, teardown
from harness.stack.supervisor.channel import SupervisorChannel
from harness.stack.supervisor.heartbeat import BEAT_S, SILENCE_S, TICK_S, SilenceTimer
from harness.stack.supervisor.launch import SIGNALS

EARLY_STEPS: Final[tuple[Callable[[], object], ...]] = (
    Plan.model_rebuild,
    COMMAND.rebuild,
    import_client,
    import_canaries,
)
"""What most runs need later. The supervisor does it while it waits for its run."""
STOOD_STILL: Final = HarnessFault(
    check="workers",
    message=f"tailgate gave no sign of life for {SILENCE_S:g} s (stopped by a signal such as SIGSTOP, or without CPU): "
    "the faults were taken back and the run was ended",
    fix="run again, and let it run: Ctrl-C ends a run early",
    part=TAILGATE,
)


class Supervisor:
    """One stack, from the first command of tailgate to the exit."""

    def __init__(self, run_dir: Path, plan: Plan, pipe: SupervisorChannel, standby: StandbyPool) -> None:
        self._pipe = pipe
        expand = Expander(os.environ, known_secrets(plan, os.environ))
        self._env = Environment(plan, run_dir, expand, pipe.emit, standby)
        self._over = asyncio.Event()
        self._urgent = False
        self._work: list[asyncio.Task[None]] = []
        self._lock_files: tuple[Path, ...] = ()
        self._silence = SilenceTimer()

    async def run(self) -> None:
        """Do every command, then undo everything. Returns with nothing left behind."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._abandon)
        beside = (loop.create_task(self._listen()), loop.create_task(self._beat()))
        await self._over.wait()
        self._start_watchdog(teardown.LONGEST_S)
        self._load.phase.disarm()
        for task in self._work:
            task.cancel()
        if self._work:
            await asyncio.wait(self._work, timeout=1.0)
        was_closed = self._load.is_closed
        verified = await teardown.take_down(self._env, urgent=lambda: self._urgent)
        state = self._load.state
        self._pipe.emit(StackDown(ended=state.ended(verified) if was_closed else state.close(verified)))
        for task in beside:
            task.cancel()
        await self._pipe.close(1.0)
        ports.unlink_all(self._lock_files)  # here, because tailgate may be stopped; nothing of the run listens any more

    async def _beat(self) -> None:
        """Send a heartbeat once a second, and undo everything if tailgate sends none."""
        next_s = time.monotonic()
        while True:
            if time.monotonic() >= next_s:
                self._pipe.emit(Heartbeat())
                next_s = time.monotonic() + BEAT_S
            if self._silence.lasts() and not self._urgent:
                if not self._over.is_set():
                    self._load.state.trouble(STOOD_STILL)
                self._abandon("rig", passed_s=SILENCE_S)
            await asyncio.sleep(TICK_S)

    async def _listen(self) -> None:
        while True:
            order = await self._pipe.order()
            self._silence.heard()
            match order:
                case HeartbeatCommand():
                    continue
                case UpCommand() as order:
                    self._lock_files = order.lock_files
                    self._begin(self._up(order))
                case LoadCommand(run_dir=run_dir):
                    self._begin(self._next_load(run_dir))
                case GoCommand():
                    self._begin(self._go())
                case StopCommand() as order:
                    self._load.phase.stop(order.at_ns, order.reason)
                case EndLoadCommand():
                    self._begin(self._end_load())
                case DownCommand():
                    self._over.set()
                case None:
                    self._abandon()
                    return

    async def _up(self, order: UpCommand) -> None:
        await self._env.up(order)
        self._report_ready()

    async def _next_load(self, run_dir: Path) -> None:
        await self._env.begin_load(Plan.read(run_dir), run_dir)
        self._report_ready()

    def _report_ready(self) -> None:
        state = self._load.state
        if state.in_trouble:
            state.end_for("rig")
        if state.reason is None:
            self._pipe.emit(StackUp())
        else:
            self._over.set()

    async def _go(self) -> None:
        if self._load.state.reason is None:
            await self._load.go()
        else:  # a child has ended since the stack was up
            self._over.set()

    async def _end_load(self) -> None:
        load = self._load
        load.phase.disarm()
        verified = await teardown.end_load(self._env)
        self._pipe.emit(LoadEnded(ended=load.state.close(verified)))

    @property
    def _load(self) -> ActiveLoad:
        return self._env.load

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._work.append(asyncio.get_running_loop().create_task(self._guarded(work)))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of a command. An error ends the run, and is reported as its reason."""
        try:
            await work
            return
        except Exception as exc:  # the top of a task
            self._load.state.trouble(fault_of(exc, "a file of the run"))
        self._load.state.end_for("rig")
        self._over.set()

    def _abandon(self, reason: Reason = "interrupted", *, passed_s: float = 0) -> None:
        """Undo everything at once, because tailgate is dead or silent, or a signal came. A second call changes nothing,
        so no signal skips the rollback. `passed_s`: how many seconds of the time limit have passed already."""
        if self._urgent:
            return
        self._urgent = True
        self._start_watchdog(teardown.URGENT_LONGEST_S - passed_s)
        self._load.phase.stop(time.monotonic_ns(), reason)
        self._over.set()

    def _start_watchdog(self, within_s: float) -> None:
        """Kill everything after `within_s`, in case the teardown hangs. A thread does it, because the loop may hang."""

        def give_up() -> None:
            env = self._env
            teardown.kill_everything(env.children.values(), env.plan.stack_id)
            folders = dict.fromkeys((env.stack_dir, env.load.run_dir))
            with suppress(OSError):
                logs = [log for folder in folders for log in crash_cleanup.child_logs(folder)]
                redact_files(logs, env.expand.secrets, within_s=1.0)
            ports.unlink_all(self._lock_files)
            os._exit(1)

        timer = threading.Timer(within_s, give_up)
        timer.daemon = True
        timer.start()


def supervise(run_dir: Path, standby: StandbyPool) -> None:
    """Supervise the run whose plan is in `run_dir`. Does not return."""

    async def whole_life() -> None:
        await Supervisor(run_dir, Plan.read(run_dir), await SupervisorChannel.open(), standby).run()
        os._exit(0)  # not `sys.exit`: a thread may wait for a Toxiproxy that hangs

    asyncio.run(whole_life())
