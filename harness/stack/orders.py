"""What tailgate tells its supervisor: one JSON line an order, on the supervisor's stdin. The end of it is one too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from harness.plan import Frozen

StopReason = Literal["fail_fast", "interrupted"]


class UpOrder(Frozen):
    """Start everything. `lock_files` are the port locks to unlink should tailgate be gone at the end."""

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


class GoOrder(Frozen):
    op: Literal["go"] = "go"


class StopOrder(Frozen):
    """No arrival is sent that is intended at `at_ns` or later; faults are taken back."""

    op: Literal["stop"] = "stop"
    at_ns: int
    reason: StopReason


class DownOrder(Frozen):
    op: Literal["down"] = "down"


class BeatOrder(Frozen):
    """tailgate lives. Once a second; a few seconds without any order mean that it does not."""

    op: Literal["beat"] = "beat"


Order = Annotated[UpOrder | GoOrder | StopOrder | DownOrder | BeatOrder, Field(discriminator="op")]
ORDER: TypeAdapter[Order] = TypeAdapter(Order)
