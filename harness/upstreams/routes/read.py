"""The routes of a fake, from its plan or from the file that the plan names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from harness.rundir.planned.routes import PlannedRoute, RouteSource
from harness.upstreams.routes.routes_read import RoutesRead, UnreadableRoutes


def read_routes(source: RouteSource, seed: int) -> RoutesRead:
    """The routes of a planned source. Raises ValueError if the file cannot be read any more, or has other routes."""
    if source.kind == "routes":
        return RoutesRead(source.routes)
    try:
        read = read_file(source.kind, Path(source.path), host=source.host, hosts=source.hosts, seed=seed)
    except UnreadableRoutes as exc:
        raise ValueError(exc.message) from exc
    except OSError as exc:
        raise ValueError(f"{source.path} cannot be read: {exc.strerror}") from exc
    if digest_of(read.routes) != source.sha256:
        raise ValueError(f"{source.path} has changed since the run was planned")
    return RoutesRead(source.with_latencies(read.routes), read.notes, read.base_path)


def read_file(kind: str, path: Path, *, host: str = "", hosts: Sequence[str] = (), seed: int = 0) -> RoutesRead:
    """The routes of a file; a second reading of an unchanged one costs nothing. Raises UnreadableRoutes and OSError.

    `host`: of a recording, the host whose exchanges are taken. `hosts`: all that will be asked for, so that they are
    read together. `seed`: of values that a description does not give.
    """
    if kind == "har":
        found = _read_recording(path, tuple(sorted({host, *hosts})), _version_of(path))[host]
        if isinstance(found, UnreadableRoutes):
            raise UnreadableRoutes(found.message, found.fix)
        return found
    return _read(kind, path, seed, _version_of(path))


def digest_of(routes: Sequence[PlannedRoute]) -> str:
    """A hash of the routes as they were read."""
    digest = hashlib.sha256()
    for route in routes:
        digest.update(repr(route).encode())
    return digest.hexdigest()


def _version_of(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes with any file at or below the path."""
    files = sorted(path.rglob("*"))[:10_000] if path.is_dir() else [path]
    stats = [(str(file), file.stat()) for file in files]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


@lru_cache(maxsize=64)  # each cell of a matrix asks for the same file again
def _read_recording(
    path: Path, hosts: tuple[str, ...], _version: object
) -> Mapping[str, RoutesRead | UnreadableRoutes]:
    from harness.upstreams.routes.har import read_hosts

    return read_hosts(path, hosts)


@lru_cache(maxsize=64)
def _read(kind: str, path: Path, seed: int, _version: object) -> RoutesRead:
    if kind == "openapi":
        from harness.upstreams.routes.openapi import read_openapi

        return read_openapi(path, seed)
    from harness.upstreams.routes.wiremock import read_wiremock

    return read_wiremock(path)
