"""What every reader of a file of routes returns, and how it refuses one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.rundir.planned.routes import PlannedRoute
from harness.upstreams.upstream_files import UnreadableFile

ROUTES_MOST: Final = 2_000
"""Routes of one upstream: a file with more is probably not about one partner."""


class UnreadableRoutes(UnreadableFile):
    """A file of routes that cannot be used. `message`: what and where in the file; `fix`: what to do."""


@dataclass(frozen=True, slots=True)
class RoutesRead:
    """`notes`: what a user should know of the reading, each a sentence without a full stop, for instance that
    exchanges without a body were left out."""

    routes: tuple[PlannedRoute, ...]
    notes: tuple[str, ...] = ()
    base_path: str = ""
    """The path of the server that an OpenAPI description names, with which every route begins: `/v2`; or empty."""
