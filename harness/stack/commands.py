"""The commands that tailgate sends to its supervisor: one JSON line each, on the supervisor's stdin.

The end of stdin is a command as well: undo everything and exit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from harness.model.frozen import Frozen

StopReason = Literal["fail_fast", "aborted", "warmup_failed", "interrupted"]


class UpCommand(Frozen):
    """Start everything, and make the first load ready.

    `engine_*`: which Toxiproxy to use. `lock_files`: the lock files of the run's ports; the supervisor unlinks them at
    the end, because tailgate may be dead by then.
    """

    op: Literal["up"] = "up"
    engine_kind: Literal["real", "none"]
    engine_source: str = ""
    engine_version: str = ""
    engine_path: Path | None = None
    engine_url: str | None = None
    """The admin API of a shared Toxiproxy, which runs already; None if the supervisor starts one."""
    admin_port: int | None = None
    """The port of the admin API if the supervisor starts Toxiproxy."""
    lock_files: tuple[Path, ...] = ()


class GoCommand(Frozen):
    """Start the load that was made ready."""

    op: Literal["go"] = "go"


class LoadCommand(Frozen):
    """Make another load ready on the stack, by the plan in `run_dir`. The load before it has been ended."""

    op: Literal["load"] = "load"
    run_dir: Path


class EndLoadCommand(Frozen):
    """Undo the load's faults, end its workers and close its records; the stack stays up."""

    op: Literal["end_load"] = "end_load"


class StopCommand(Frozen):
    """End the load early: send no arrival intended at `at_ns` (monotonic) or later, and remove the faults."""

    op: Literal["stop"] = "stop"
    at_ns: int
    reason: StopReason


class DownCommand(Frozen):
    """End the load and the stack."""

    op: Literal["down"] = "down"


class HeartbeatCommand(Frozen):
    """tailgate is alive. Sent once a second; after a few seconds without a command the supervisor gives it up."""

    op: Literal["beat"] = "beat"


Command = Annotated[
    UpCommand | LoadCommand | GoCommand | StopCommand | EndLoadCommand | DownCommand | HeartbeatCommand,
    Field(discriminator="op"),
]
COMMAND: TypeAdapter[Command] = TypeAdapter(Command, config=ConfigDict(defer_build=True))
