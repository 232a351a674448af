"""How a load reaches its workers, wherever they run.

`harness.stack.load.local_workers` has them as children of this process, with files as messages. Workers on other
machines are another transport: their rows come with a clock offset, and their life is seen by messages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from harness.rundir.manifest import HarnessFault


class WorkerTransport(Protocol):
    """The workers of one load. Times are nanoseconds of this machine's monotonic clock."""

    async def launch(self) -> None:
        """Start each worker and return when every one can send. Raises RigError."""

    def start(self, *, start_ns: int, t0_ns: int) -> None:
        """Let them send: the first arrivals are due at `start_ns`, the measured load begins at `t0_ns`.

        Raises OSError where the message cannot be written.
        """

    def stop(self, at_ns: int) -> None:
        """Nothing that is due at `at_ns` or later is sent. Raises OSError."""

    def alive(self) -> tuple[str, ...]:
        """The names of those that have not left yet."""

    async def wait(self, within_s: float) -> None:
        """Until every worker that is alive has left, or time is up."""

    async def end(self) -> None:
        """Ask those that are alive to leave, and kill who does not. Bounded by `END_S`."""

    def kill_overrunning(self) -> list[HarnessFault]:
        """Kill those that are alive; what to report of each."""

    def rows(self) -> tuple[Path, ...]:
        """The row files of the workers, one each, in the run directory."""
