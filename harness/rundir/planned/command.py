"""What a plan has of an upstream that tailgate starts: its command, and how it is known to be ready."""

from __future__ import annotations

from harness.model.frozen import Frozen


class PlannedCommand(Frozen):
    """A server that the supervisor starts. `{port}` is filled in already; `${VAR}` is not, because values may be
    secrets, and no file of a run contains them."""

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    """What is added to tailgate's own environment."""
    cwd: str = "."
    port: int
    """Where it listens, on 127.0.0.1. Only Toxiproxy, or the forwarder, connects to it."""
    ready_method: str = "GET"
    ready_path: str | None = None
    """What it is asked until it answers with a status from 200 to 399; None: a TCP connection is enough."""
    ready_within_ms: float = 10_000
