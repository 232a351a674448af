"""Starts one load, runs the faults' timeline, and ends the load: by plan, by a command, or because a child died.

If the service dies, that is a result about the service; if any other child dies, it is a rig failure. In both cases
the load stops at once and does not wait for open requests, because later measurements say nothing about the service. A
child that was stopped by a signal (SIGSTOP) counts as dead.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from harness.rundir.manifest import UPSTREAM_PREFIX, HarnessFault, ProcessExit, part_of
from harness.rundir.plan import Plan
from harness.stack.background import BackgroundTasks
from harness.stack.events import LoadDone
from harness.stack.load import local_workers
from harness.stack.load.transport import PREFIX, WorkerTransport
from harness.stack.processes import service, toxiproxy
from harness.stack.processes.process import ChildProcess
from harness.stack.run_state import Reason, RunState, disk_fault
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.stack.injection.injector import Injector
    from harness.stack.monitor.canary import Canaries

START_AHEAD_MS: Final = 300
"""From writing start.json to the first possible arrival. Workers check for the file every 5 ms."""
WARMUP_AHEAD_MS: Final = 50
"""The same if the load begins with a warm-up of `WARMUP_LEAST_MS` or more: no gate counts its late arrivals."""
WARMUP_LEAST_MS: Final = 1_000
REMOTE_AHEAD_MS: Final = 2_000
"""The same if the message goes to other machines."""
MARGIN_S: Final = 10.0
"""How long workers may take to write their last rows after the planned end and the drain."""
BROKEN_DRAIN_S: Final = 2.0
"""How long open requests get after service or harness broke. It is short: their results are worth nothing."""


class LoadPhase:
    """The course of one load. Deaths count from `arm` on; before that, whatever waits for a child reports its end."""

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
        self._given_up: set[str] = set()  # children that we killed, so that their end is not reported

    def arm(self, children: Iterable[ChildProcess]) -> None:
        """Everything is up: report the end of a child from now on. A child that has ended already is reported now."""
        self._armed = True
        for child in tuple(children):
            if not child.alive:
                self.on_death(child)

    def disarm(self) -> None:
        """The teardown begins: the end of a child is not reported; a fault is reported, but stops nothing."""
        self._armed = False
        self._going = False
        if self._timeline:
            self._timeline.cancel()

    async def go(self, injector: Injector | None, canaries: Canaries | None, background: BackgroundTasks) -> None:
        """Start the load and return when every worker has exited. Raises OSError if the disk is full."""
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
        self._armed = self._going = False  # all is measured, so the end of a child changes nothing now
        self._state.emit(LoadDone())

    def stop(self, at_ns: int, reason: Reason) -> None:
        """Send no arrival intended at `at_ns` or later, and remove the faults then. Only the first call counts."""
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
            self._end_ns = 0  # the workers cannot read stop.json, so they are killed after `MARGIN_S`
        if self._timeline:
            self._timeline.cancel()
        if self._injector:
            self._undo = asyncio.get_running_loop().create_task(_undo_at(at_ns, self._injector))

    def trouble(self, fault: HarnessFault) -> None:
        """Report a fault of the harness, and stop the load, because it can have no verdict any more."""
        self._state.trouble(fault)
        if self._armed:
            self.stop(time.monotonic_ns(), "rig")

    def on_death(self, child: ChildProcess) -> None:
        """A child has ended: report it, and stop the load. A worker may exit with code 0 while the load runs."""
        if not self._armed or child.name in self._given_up or child.planned:
            return
        if child.name.startswith(PREFIX):
            if child.code.result() != 0 or not self._going:
                self._record(child)
                self.trouble(local_workers.died(child))
        elif child.name == service.NAME:
            self._record(child)
            self.stop(child.ended_ns or time.monotonic_ns(), "service_gone")
        else:
            self.trouble(_died(self._record(child), child))

    def on_stopped(self, child: ChildProcess) -> None:
        """A signal has stopped a child. If it is the service, the service is gone; any other is a rig failure."""
        if not self._armed or child.planned:
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
                part=part_of(child.name),
            )
        )
        if child.name == toxiproxy.NAME:  # calls to it would hang; its toxics end with the process
            self._given_up.add(child.name)
            child.kill()

    def on_never_ready(self, child: ChildProcess, message: str, fix: str, within_ms: float) -> None:
        """A child runs, but was not ready again in time after a fault on it. If it is the service, the service has
        failed; any other is a rig failure."""
        if not self._armed:
            return
        if child.name != service.NAME:
            self.trouble(HarnessFault(check="faults", message=message, fix=fix, part=part_of(child.name)))
            return
        lines = child.log_tail(1)
        last_line = lines[0] if lines else ""
        now_ns = time.monotonic_ns()
        self._state.died(
            ProcessExit(child=child.name, t_ns=now_ns, code=0, not_ready_ms=within_ms, last_line=last_line)
        )
        self.stop(now_ns, "service_gone")

    async def _workers_left(self) -> None:
        """Return when every worker has exited. Workers that overrun are killed. `stop` may bring the end forward."""
        while self._workers.alive():
            await self._workers.wait(0.25)
            late_ns = time.monotonic_ns() - self._end_ns
            if self._broken and late_ns > BROKEN_DRAIN_S * NS_PER_S:
                self._armed = False  # we end the workers, so their end is not reported
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
    """How long before the first possible arrival start.json is written, in ms."""
    if plan.load.remote is not None:
        return REMOTE_AHEAD_MS
    return WARMUP_AHEAD_MS if plan.load.warmup_ms >= WARMUP_LEAST_MS else START_AHEAD_MS


async def _undo_at(at_ns: int, injector: Injector) -> bool:
    await asyncio.sleep(max(0, at_ns - time.monotonic_ns()) / NS_PER_S)
    return await injector.undo_all()


def _died(death: ProcessExit, child: ChildProcess) -> HarnessFault:
    return HarnessFault(
        check=_check(child),
        message=f"{child.name} {death.how} during the run" + _end_of_log(child, death),
        fix=f"see {child.log_place}",
        part=part_of(child.name),
    )


def _end_of_log(child: ChildProcess, death: ProcessExit) -> str:
    """Several lines of a program of the user's, for whom they say more than the last one."""
    if child.name.startswith(UPSTREAM_PREFIX):
        return "".join(f"\n  {line}" for line in child.log_excerpt())
    return f": {death.last_line}" if death.last_line else ""


def _check(child: ChildProcess) -> str:
    return "faults" if child.name == toxiproxy.NAME else "workers"
