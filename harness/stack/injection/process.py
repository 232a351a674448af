"""One window of one fault on a process: it is killed, stopped or restarted, and brought back. Blocking but for
`bring_back`.

/proc is its witness. Nothing is sent to a process outside the child's session.
"""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field
from typing import Final

from harness.errors import RigError
from harness.rundir.planned.fault import PlannedFault
from harness.stack.injection.fault_handle import FaultHandle
from harness.stack.processes import session
from harness.stack.processes.process import ChildProcess
from harness.stack.processes.restartable import RestartableProcess

ACT_S: Final = 1.5
"""How long /proc may take to show what a signal has done."""
TERM_S: Final = 4.0
"""How long a restarted service may take to end after SIGTERM. SIGKILL follows."""
START_S: Final = 2.0
_POLL_S: Final = 0.005


@dataclass(eq=False, slots=True)
class ProcessFaultHandle:
    """`listener`: the handle that closes the upstream's listener meanwhile; None: it stays open. `loop`: on which
    processes are started."""

    fault: PlannedFault
    window: int
    upstream: str
    process: RestartableProcess
    loop: asyncio.AbstractEventLoop
    listener: FaultHandle | None = None
    _hit: ChildProcess | None = field(default=None, init=False)
    """The child that was there when the fault came."""

    def apply(self, *, disabled_by_other: bool) -> None:
        child = self.process.child
        if not child.alive:
            raise RigError(f"{child.name} does not run", f"see {child.log_place}")
        self._hit, child.planned = child, True
        match self.fault.process:
            case "pause":
                session.stop(child.pid, ACT_S)
            case "restart":
                self._terminate(child)
                self._start()
            case _:
                session.kill(child.pid, ACT_S)
                _await_end(child, ACT_S)
        if self.listener:
            self.listener.apply(disabled_by_other=disabled_by_other)

    def verify_active(self, *, disabled_by_other: bool) -> None:
        assert self._hit is not None, "apply() comes first"
        if self.fault.process == "pause" and not session.is_stopped(self._hit.pid):
            raise RigError(f"{self._hit.name} did not stay stopped", "see who continues processes here")
        if self.fault.process == "kill" and (self._hit.alive or session.members(self._hit.pid)):
            raise RigError(f"{self._hit.name} still runs", "see what keeps it in the kernel (ps, dmesg)")
        if self.listener:
            self.listener.verify_active(disabled_by_other=disabled_by_other)

    def resume(self) -> None:
        """Let a stopped process continue. Toxiproxy may wait for it, and would not answer us then."""
        if self.fault.process == "pause" and self._hit:
            session.resume(self._hit.pid)
            self._hit.planned = False

    def bring_back(self) -> ChildProcess:
        """On the event loop, when the fault is removed: the process continues, or is started again. Raises RigError."""
        self.resume()
        if self.fault.process == "kill" and self._hit is self.process.child:
            self.process.start_again()
        return self.process.child

    def remove(self, *, disabled_by_other: bool) -> None:
        if self.listener:
            self.listener.remove(disabled_by_other=disabled_by_other)

    def verify_removed(self, *, disabled_by_other: bool) -> None:
        child = self.process.child
        if self.fault.process == "pause" and session.is_stopped(child.pid):
            raise RigError(f"{child.name} is still stopped", f"continue it: kill -CONT {child.pid}")
        if self.listener:
            self.listener.verify_removed(disabled_by_other=disabled_by_other)

    def seen(self) -> str:
        """For people: what /proc showed after `apply`."""
        assert self._hit is not None, "apply() comes first"
        pid = self._hit.pid
        match self.fault.process:
            case "pause":
                return f"process {pid} is stopped"
            case "restart":
                return f"process {pid} has ended, and {self.process.child.pid} has taken its place"
            case _:
                return f"process {pid} has ended"

    def _terminate(self, child: ChildProcess) -> None:
        child.signal(signal.SIGTERM)
        try:
            _await_end(child, TERM_S)
        except RigError:
            child.kill()
            _await_end(child, ACT_S)
        session.kill(child.pid, ACT_S)

    def _start(self) -> None:
        async def start() -> None:
            self.process.start_again()

        asyncio.run_coroutine_threadsafe(start(), self.loop).result(START_S)


def _await_end(child: ChildProcess, within_s: float) -> None:
    """Return once the child has ended and the event loop knows. Raises RigError after `within_s`."""
    end = time.monotonic() + within_s
    while child.alive:
        if time.monotonic() > end:
            raise RigError(f"{child.name} did not end within {within_s:g} s", "see what keeps it (ps, dmesg)")
        time.sleep(_POLL_S)
