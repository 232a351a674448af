"""The load under way: begun together, faults on their timeline, ended by plan, by order or by a death.

Whoever dies decides how it ends: the service makes it a finding, everybody else a rig failure. It
stops at once in both cases, since nothing measured afterwards says anything about the service; who
waits for an answer then is not waited for. One that was stopped by a signal (SIGSTOP) is as good as dead.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from harness.rundir.manifest import HarnessFault, ProcessExit
from harness.rundir.plan import Plan
from harness.stack.background import BackgroundTasks
from harness.stack.events import LoadDone
from harness.stack.load import local_workers
from harness.stack.load.transport import WorkerTransport
from harness.stack.processes import service, toxiproxy
from harness.stack.processes.process import ChildProcess
from harness.stack.run_state import Reason, RunState, disk_fault
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.stack.injection.injector import Injector
    from harness.stack.monitor.canary import Canaries

START_AHEAD_MS: Final = 300
"""From start.json to the first possible arrival; workers look for it every 20 ms."""
WARMUP_AHEAD_MS: Final = 100
"""The same where a warm-up of a second or more begins: an arrival of it that is sent late is in no gate."""
WARMUP_LEAST_MS: Final = 1_000
MARGIN_S: Final = 10.0
"""What workers may take beyond plan and drain to write their last rows."""
BROKEN_DRAIN_S: Final = 2.0
"""What open requests are given where service or rig broke: they tell nothing any more."""


class LoadPhase:
    """The course of one load. Deaths count from `arm` on: before, whoever waits for a child reports its end."""

    def __init__(self, plan: Plan, state: RunState, workers: WorkerTransport) -> None:
        self._plan = plan
        self._state = state
        self._workers = workers
        self._armed = False
        self._going = False
        self._injector: Injector | None = None
        self._timeline: asyncio.Task[None] | None = None
        self._undo: asyncio.Task[bool] | None = None
        self._end_ns = 0
        self._broken = False
        self._given_up: set[str] = set()  # children whose end is no news

    def arm(self, children: Iterable[ChildProcess]) -> None:
        """Everything is up: from now on none may end by itself, and one that has ended already is reported now."""
        self._armed = True
        for child in tuple(children):
            if not child.alive:
                self.on_death(child)

    def disarm(self) -> None:
        """The end has come: children are stopped, and what goes wrong is reported but stops nothing."""
        self._armed = False
        self._going = False
        if self._timeline:
            self._timeline.cancel()

    async def go(self, injector: Injector | None, canaries: Canaries | None, background: BackgroundTasks) -> None:
        """Start the load and return when every worker has left. Raises OSError for a full disk."""
        start_ns = time.monotonic_ns() + ahead_ms(self._plan) * NS_PER_MS
        t0_ns = start_ns + round(self._plan.load.warmup_ms * NS_PER_MS)
        self._end_ns = t0_ns + round(self._plan.load.duration_ms * NS_PER_MS)
        self._workers.start(start_ns=start_ns, t0_ns=t0_ns)
        self._going, self._injector = True, injector
        self._state.started(t0_ns)
        if canaries:
            background.start(canaries.run(), "canary.ndjson")
        if injector:
            self._timeline = background.start(injector.run_timeline(t0_ns), "faults.ndjson")
        await self._workers_left()
        self._armed = self._going = False  # all is measured: who ends now changes nothing
        self._state.emit(LoadDone())

    def stop(self, at_ns: int, reason: Reason) -> None:
        """Send nothing that is intended at `at_ns` or later, and take the faults back then. The first call counts."""
        if self._state.reason is not None:
            return
        self._state.end_for(reason, at_ns if self._going else None)
        if not self._going:
            return
        self._end_ns = min(self._end_ns, at_ns)
        self._broken = reason in ("rig", "service_gone")
        try:
            self._workers.stop(at_ns)
        except OSError as exc:
            self._state.trouble(disk_fault("stop.json", exc))
            self._end_ns = 0  # the workers will not hear of it: they are killed after the margin
        if self._timeline:
            self._timeline.cancel()
        if self._injector:
            self._undo = asyncio.get_running_loop().create_task(_undo_at(at_ns, self._injector))

    def trouble(self, fault: HarnessFault) -> None:
        """The rig is at fault: told, and the load stopped, since no verdict can come of it."""
        self._state.trouble(fault)
        if self._armed:
            self.stop(time.monotonic_ns(), "rig")

    def on_death(self, child: ChildProcess) -> None:
        """A child has ended."""
        if not self._armed or child.name in self._given_up:
            return
        if child.name.startswith(local_workers.PREFIX):
            if child.code.result() != 0 or not self._going:
                self._record(child)
                self.trouble(local_workers.died(child))
        elif child.name == service.NAME:
            self._record(child)
            self.stop(child.ended_ns or time.monotonic_ns(), "service_gone")
        else:
            self.trouble(_died(self._record(child), child))

    def on_stopped(self, child: ChildProcess) -> None:
        """A signal has stopped a child: the service's owner answers for the service, we for everybody else."""
        if not self._armed:
            return
        stopped = ProcessExit(child=child.name, t_ns=time.monotonic_ns(), code=-signal.SIGSTOP, stopped=True)
        if child.name == service.NAME:
            self._state.died(stopped)
            self.stop(stopped.t_ns, "service_gone")
            return
        self.trouble(
            HarnessFault(
                check=_check(child),
                message=f"{child.name} {stopped.how} during the run",
                fix="run again, and see who stops processes (a debugger, a job control, a memory guard?)",
            )
        )
        if child.name == toxiproxy.NAME:  # every call to it would wait; its toxics end with it
            self._given_up.add(child.name)
            child.kill()

    async def _workers_left(self) -> None:
        """Until the last has ended; one that overruns is killed. `stop` may bring the end nearer meanwhile."""
        while self._workers.alive():
            await self._workers.wait(0.25)
            late_ns = time.monotonic_ns() - self._end_ns
            if self._broken and late_ns > BROKEN_DRAIN_S * NS_PER_S:
                self._armed = False  # they end because we say so
                await self._workers.end()
                return
            if late_ns > (self._plan.load.drain_ms / 1000 + MARGIN_S) * NS_PER_S:
                for fault in self._workers.kill_overrunning():
                    self._state.trouble(fault)
                    self._state.end_for("rig")

    def _record(self, child: ChildProcess) -> ProcessExit:
        lines = child.log_tail(1)
        death = ProcessExit(
            child=child.name,
            t_ns=child.ended_ns or time.monotonic_ns(),
            code=child.code.result(),
            last_line=lines[0] if lines else "",
        )
        self._state.died(death)
        return death


def ahead_ms(plan: Plan) -> int:
    """How long before the first possible arrival the workers are told of it."""
    return WARMUP_AHEAD_MS if plan.load.warmup_ms >= WARMUP_LEAST_MS else START_AHEAD_MS


async def _undo_at(at_ns: int, injector: Injector) -> bool:
    await asyncio.sleep(max(0, at_ns - time.monotonic_ns()) / NS_PER_S)
    return await injector.undo_all()


def _died(death: ProcessExit, child: ChildProcess) -> HarnessFault:
    return HarnessFault(
        check=_check(child),
        message=f"{child.name} {death.how} during the run" + (f": {death.last_line}" if death.last_line else ""),
        fix=f"see {child.log_place}",
    )


def _check(child: ChildProcess) -> str:
    return "faults" if child.name == toxiproxy.NAME else "workers"
