"""A child that a fault may end, stop and start again: an upstream's command, or the service under test.

While that is planned, its end is no news to whoever watches the children.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from harness.stack.processes.process import ChildProcess


@dataclass(slots=True)
class RestartableProcess:
    """`start` starts it as it was started first, on the event loop.

    `ready` returns once it is ready, after so many milliseconds. It takes the time limit in milliseconds, or None for
    the plan's own, and raises RigError if it is not ready in time. `never_ready` reports that it was not, with that
    error."""

    target: str
    child: ChildProcess
    start: Callable[[], ChildProcess]
    ready: Callable[[ChildProcess, float | None], Awaitable[float]]
    never_ready: Callable[[ChildProcess, str, str, float | None], None]
    """Child, message, fix, and the time limit in ms."""

    def start_again(self) -> ChildProcess:
        """Raises RigError if it cannot be started."""
        self.child = self.start()
        return self.child


async def await_ready(processes: Iterable[RestartableProcess]) -> None:
    """Return once each of them is ready, also one that a fault of an earlier load has just started again.

    Each has the limit that the plan gives it. Raises the RigError of the first that has ended or is not ready in time;
    the error names it.
    """
    waits = [asyncio.ensure_future(process.ready(process.child, None)) for process in processes]
    try:
        await asyncio.gather(*waits)
    finally:
        for wait in waits:
            wait.cancel()


Restartables = Mapping[str, RestartableProcess]
"""By the name that faults have for it: the upstream's, or SERVICE_TARGET."""
