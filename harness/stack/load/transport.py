"""The interface between a load and its workers, wherever they run.

`harness.stack.load.local_workers` implements it with children of this process and files as messages,
`harness.stack.load.remote_workers` with Locust's master as the one child, which relays these files to other machines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from harness.rundir.manifest import HarnessFault

PREFIX: Final = "locust-"
"""What the name of every worker begins with."""
MASTER: Final = f"{PREFIX}master"
"""The child that speaks to workers on other machines. When it fails, its last line says which of them, and why."""


class WorkerTransport(Protocol):
    """The workers of one load. Times are nanoseconds of this machine's monotonic clock."""

    async def launch(self) -> None:
        """Start each worker and return when every one can send. Workers with a locustfile and those that sign in can do
        that only after `service_ready`. Raises RigError."""

    def service_ready(self) -> None:
        """Tell the workers that the service answers: they, or a locustfile's users, may sign in now. Raises OSError."""

    def start(self, *, start_ns: int, t0_ns: int) -> None:
        """Let the workers send: the first arrivals are due at `start_ns`, the measured load begins at `t0_ns`.

        Raises OSError if the message cannot be written.
        """

    def stop(self, at_ns: int) -> None:
        """Let the workers send nothing that is due at `at_ns` or later. Raises OSError."""

    def alive(self) -> tuple[str, ...]:
        """The names of the workers that have not exited yet."""

    async def wait(self, within_s: float) -> None:
        """Return when every worker has exited, or after `within_s`."""

    async def end(self) -> None:
        """Ask every worker that is alive to exit, and kill those that do not. The rows that exist are kept. Takes
        some seconds at most."""

    def kill_overrunning(self) -> list[HarnessFault]:
        """Kill every worker that is alive. Returns one fault for each."""

    def rows(self) -> tuple[Path, ...]:
        """The row files in the run directory, one for each worker."""
