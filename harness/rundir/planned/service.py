"""What a plan has of the service under test and of the gateway before it."""

from __future__ import annotations

from typing import Literal

from harness.model.frozen import Frozen


class PlannedService(Frozen):
    """The service under test. `argv` is None for `url`. The templates in `env` are filled in already.

    Values that come from `${VAR}` are secrets: they are in no file, and they are redacted in logs and in `sut.env`. So
    plan.json has `${VAR}` unexpanded, and the supervisor expands it at the start.
    """

    kind: Literal["rung", "command", "url"]
    rung: str | None = None
    argv: tuple[str, ...] | None = None
    env: dict[str, str] = {}
    cwd: str = "."
    url: str
    """Base URL to which the gateway (or, without one, the load) sends requests; no trailing slash."""
    port: int | None = None
    ready_method: str = "GET"
    ready_path: str = "/healthz"
    ready_headers: dict[str, str] = {}
    ready_within_ms: float = 10_000
    alerts_path: str | None = None
    """Where the service's metrics are, read by GET; None: it has no known alert."""
    alerts_metric: str | None = None
    """The metric of the alert. A sample above zero reports the upstream whose name is the value of a label."""


class PlannedGateway(Frozen):
    """`client`: a total deadline that the load generator keeps. `target` is the base URL for the load."""

    kind: Literal["nginx", "client", "external", "none"]
    timeout_ms: float | None
    port: int | None = None
    binary: str | None = None
    target: str
