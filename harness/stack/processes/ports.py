"""Leases TCP ports: two tailgates never get the same port, and a port on which a process listens is never given.

Ports come from 20000 to 29999, below the ephemeral range of every system we know. Each port has a lock file (`flock`)
whose descriptor the supervisor inherits, so the lease survives a tailgate that was killed, and ends with the last
process that has the descriptor. Ports that cannot be bound are refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from harness.errors import RigError

RUN_PORTS: Final = range(20_000, 30_000)


class PortLease:
    """The ports of one run. The planner gets `take` as its source of ports. Leaving the context releases them all."""

    def __init__(self, lock_dir: Path | None = None, ports: range = RUN_PORTS) -> None:
        """`lock_dir` and `ports` are given together: leases in different folders do not see each other's locks."""
        self._lock_dir = lock_dir or lock_folder()
        self._range = ports
        self._locks: dict[int, int] = {}  # port → descriptor
        # Parallel runs begin far apart, so that they seldom try each other's ports.
        self._next = (os.getpid() * 97) % len(ports)

    def take(self) -> int:
        """Lock and return a port on which no process listens. Raises RigError if all are in use."""
        try:
            for _ in self._range:
                port = self._range[self._next]
                self._next = (self._next + 1) % len(self._range)
                if port in self._locks or not self._lock(port):
                    continue
                if _can_bind(port, reuse=False):
                    return port
                self._unlock(port)
        except OSError as exc:
            if exc.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            raise RigError(f"too few open files to hold ports: {exc.strerror}", "ulimit -n 1024") from exc
        raise RigError(
            f"no port from {self._range[0]} to {self._range[-1]} is free",
            "free some of them; `tailgate toxiproxy sweep` ends what a killed run left",
        )

    def claim(self, port: int, purpose: str) -> None:
        """Lock one given port, such as `port:` of an upstream. Raises RigError, which names its user if known."""
        if port in self._locks:
            return
        locked = self._lock(port)
        if locked and _can_bind(port, reuse=True):
            return
        if locked:
            self._unlock(port)
        holder = holder_of(port) or ("" if locked else "another tailgate run")
        raise RigError(
            f"port {port} ({purpose}) is in use" + (f" by {holder}" if holder else ""),
            "give the scenario another port; or, if a proxy of your Toxiproxy listens there, borrow it: {proxy: NAME}",
            part=purpose,
        )

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(self._locks)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors of the lock files, for `pass_fds` of the supervisor: then both processes have the locks."""
        return tuple(self._locks.values())

    @property
    def lock_files(self) -> tuple[Path, ...]:
        return tuple(self._path(port) for port in self._locks)

    def release(self) -> None:
        """Unlock all ports. Idempotent. Call it only when no process of the run listens any more."""
        for port in tuple(self._locks):
            self._unlock(port)
        remove_folder(self._lock_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _path(self, port: int) -> Path:
        return self._lock_dir / f"{port}.lock"

    def _lock(self, port: int) -> bool:
        descriptor = lock(self._path(port))
        if descriptor is None:
            return False
        self._locks[port] = descriptor
        return True

    def _unlock(self, port: int) -> None:
        # Unlinked while still locked, so that a process that opened the same file meanwhile sees that it is gone. If
        # the supervisor has unlinked it already, another run may have created a new file of that name.
        if _is_linked(self._locks[port], self._path(port)):
            self._path(port).unlink(missing_ok=True)
        os.close(self._locks.pop(port))


def lock_folder() -> Path:
    """The folder of this user's lock files; it contains nothing else."""
    return Path(tempfile.gettempdir()) / f"tailgate-ports-{os.getuid()}"


def lock(path: Path) -> int | None:
    """Lock the file and return its descriptor; None if another process has the lock."""
    for _ in range(100):  # a turn fails if another process removed the file or its folder meanwhile
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # another run has just removed the empty folder
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_linked(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        os.close(descriptor)
    return None


def remove_stale(lock_dir: Path | None = None) -> list[Path]:
    """Unlink lock files that no process has locked, which killed runs left behind. Returns their paths."""
    folder = lock_dir or lock_folder()
    removed = []
    for path in sorted(folder.glob("*.lock")):
        descriptor = lock(path)
        if descriptor is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            removed.append(path)
    remove_folder(folder)
    return removed


def unlink_all(lock_files: Iterable[Path]) -> None:
    """Unlink lock files by name. For the supervisor, whose inherited descriptors close when it exits."""
    files = tuple(lock_files)
    for path in files:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in files}:
        remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove the lock folder if no lock file is left in it."""
    try:
        folder.rmdir()
    except OSError as exc:
        if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def holder_of(port: int) -> str:
    """The process that listens on the port, such as `python (pid 4711)`; empty if the system does not say."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            here = connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,)
            if here and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        return ""
    return ""


def _is_linked(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _can_bind(port: int, *, reuse: bool) -> bool:
    """Whether the port can be bound. `reuse`: ignore connections that are still closing, as most servers do."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if reuse:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return not (reuse and _has_listener(port))


def _has_listener(port: int) -> bool:
    # With SO_REUSEADDR some systems let us bind below a listener on 0.0.0.0.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
