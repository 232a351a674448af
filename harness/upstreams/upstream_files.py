"""How a kind of upstream reads the files that a scenario names for it, and what a plan takes from these files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from harness.rundir.planned.routes import PlannedRoute, RouteSource
from harness.rundir.planned.upstream import Endpoint
from harness.upstreams.recording import Points

KeyPath = tuple[str | int, ...]
"""A path within the upstream's mapping."""
T = TypeVar("T")


class UnreadableFile(Exception):
    """A file that cannot be used. `message`: what and where in the file; `fix`: what to do."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class UpstreamReader(Protocol):
    """Gives a kind of upstream the files that the scenario names. Mistakes in them become diagnostics at the place
    where the scenario names the file."""

    @property
    def seed(self) -> int:
        """The scenario's seed."""

    def use(self, key: KeyPath, written: str | None, read: Callable[[Path], T]) -> T | None:
        """Returns `read(path)` for the file that the scenario names at `key`. Returns None if no file is named there
        (`written` is None), or if `read` raises UnreadableFile, OSError or ValueError, which becomes a diagnostic."""

    @property
    def recorded_hosts(self) -> Mapping[Path, Sequence[str]]:
        """The hosts that the upstreams take from each recording, by the recording's resolved path."""

    def folder(self, key: KeyPath) -> Path:
        """The folder that relative paths at `key` start from."""

    def refuse(self, key: KeyPath, message: str, fix: str = "", offset: int = 0) -> None:
        """Report a mistake at `key`. `offset`: how many characters after the beginning of its text."""

    def note(self, key: KeyPath, message: str) -> None:
        """Report something that the user should know. The scenario can be run all the same."""


@dataclass(frozen=True, slots=True)
class ProxyAddresses:
    """The addresses of a borrowed proxy, as its server reports them. `listener`: where the service connects to.
    `origin`: where the proxy connects to."""

    listener: Endpoint
    origin: Endpoint


@dataclass(frozen=True, slots=True)
class UpstreamInputs:
    """What was read from the files of one upstream. `recorded`: the points of a file of latencies. `source`: the file
    that the routes of a fake come from. `routes`: those routes. `ca`: the absolute path of a file of certificate
    authorities. `cwd`: the absolute path of the folder in which the upstream's command is started."""

    recorded: Points = ()
    source: RouteSource | None = None
    routes: tuple[PlannedRoute, ...] = ()
    ca: str | None = None
    cwd: str | None = None
    base_path: str = ""
    """As of `RoutesRead`."""
    proxy: ProxyAddresses | None = None
    """The addresses of a borrowed proxy; None while no server has been asked, as in `validate`."""


NO_INPUTS = UpstreamInputs()
