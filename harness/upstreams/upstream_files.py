"""How a kind of upstream reads the files that a scenario names for it, and what a plan needs of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from harness.rundir.plan import Endpoint
from harness.rundir.planned.routes import PlannedRoute, RouteSource
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
    """What a kind of upstream reads its files with. Mistakes become diagnostics at their position in the scenario."""

    @property
    def seed(self) -> int:
        """The scenario's seed."""

    def use(self, key: KeyPath, written: str | None, read: Callable[[Path], T]) -> T | None:
        """What `read` makes of the file that the scenario names at `key`. None if it names none, or if `read` raises
        UnreadableFile, OSError or ValueError."""

    @property
    def recorded_hosts(self) -> Mapping[Path, Sequence[str]]:
        """By the resolved path of each recording of the scenario: the hosts that its upstreams take from it."""

    def folder(self, key: KeyPath) -> Path:
        """What relative paths at `key` are relative to."""

    def refuse(self, key: KeyPath, message: str, fix: str = "", offset: int = 0) -> None:
        """A mistake at `key`. `offset`: characters from the beginning of the text there."""

    def note(self, key: KeyPath, message: str) -> None:
        """Something that the user should know; it stops nothing."""


@dataclass(frozen=True, slots=True)
class ProxyAddresses:
    """Of a borrowed proxy, as its server has them. `listener`: as the service reaches it; `origin`: where it connects
    to."""

    listener: Endpoint
    origin: Endpoint


@dataclass(frozen=True, slots=True)
class UpstreamInputs:
    """`recorded`: the points of a file of latencies. `source` and `routes`: of a fake with routes, where they come
    from and what they are. `ca`: the absolute path of a file of certificate authorities. `cwd`: the absolute path of
    the folder in which its command is started."""

    recorded: Points = ()
    source: RouteSource | None = None
    routes: tuple[PlannedRoute, ...] = ()
    ca: str | None = None
    cwd: str | None = None
    proxy: ProxyAddresses | None = None
    """Of a borrowed proxy, in a run; None where no server was asked."""


NO_INPUTS = UpstreamInputs()
