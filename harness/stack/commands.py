"""What tailgate tells its supervisor: one JSON line an order, on the supervisor's stdin. The end of it is one too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from harness.rundir.plan import Frozen

StopReason = Literal["fail_fast", "warmup_failed", "interrupted"]


class UpCommand(Frozen):
    """Start everything, and make the first load ready.

    `lock_files`: the port locks to unlink should tailgate be gone at the end.
    """

    op: Literal["up"] = "up"
    engine_kind: Literal["real", "none"]
    engine_source: str = ""
    engine_version: str = ""
    engine_path: Path | None = None
    engine_url: str | None = None
    """Of a server that runs already."""
    admin_port: int | None = None
    """For a server of ours."""
    lock_files: tuple[Path, ...] = ()


class GoCommand(Frozen):
    op: Literal["go"] = "go"


class LoadCommand(Frozen):
    """Make another load ready on the stack: the plan of this run directory. The load before it has been ended."""

    op: Literal["load"] = "load"
    run_dir: Path


class EndLoadCommand(Frozen):
    """Close the records of the load; the stack stays."""

    op: Literal["end_load"] = "end_load"


class StopCommand(Frozen):
    """No arrival is sent that is intended at `at_ns` or later; faults are taken back."""

    op: Literal["stop"] = "stop"
    at_ns: int
    reason: StopReason


class DownCommand(Frozen):
    op: Literal["down"] = "down"


class HeartbeatCommand(Frozen):
    """tailgate lives. Once a second; a few seconds without any order mean that it does not."""

    op: Literal["beat"] = "beat"


Command = Annotated[
    UpCommand | LoadCommand | GoCommand | StopCommand | EndLoadCommand | DownCommand | HeartbeatCommand,
    Field(discriminator="op"),
]
COMMAND: TypeAdapter[Command] = TypeAdapter(Command)
