"""RUN_DIR/control: the small JSON files through which the supervisor and the Locust workers agree on begin and end.

Each worker writes `ready-<i>` and waits for the supervisor's `start.json` with the monotonic times; `stop.json` ends
the load early. A worker that signs in, or runs a locustfile, first waits for `service.json`; `failed-<i>` says why it
could not sign in. Each file is written atomically, so that no reader sees half of it. Every wait has a time limit,
since a worker must end when its supervisor is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from harness.errors import RigError
from harness.rundir.ndjson import replace_file
from harness.units import NS_PER_S

FOLDER: Final = "control"
START_WITHIN_S: Final = 60.0
POLL_S: Final = 0.005
PARENT_SILENT_S: Final = 10.0
"""A worker ends if its parent, which once gave signs of life, gives none for this long."""
SERVICE_WITHIN_S: Final = 3600.0
"""A bound beyond every `ready … within`: the supervisor ends its workers long before if the service is not ready."""
_START: Final = "start.json"
_SERVICE: Final = "service.json"
_STOP: Final = "stop.json"


def prepare(run_dir: Path) -> None:
    """Creates the folders `control` and `logs`. Raises OSError."""
    (run_dir / FOLDER).mkdir(exist_ok=True)
    (run_dir / "logs").mkdir(exist_ok=True)


def is_ready(run_dir: Path, index: int) -> bool:
    return _ready_file(run_dir, index).exists()


def write_service_ready(run_dir: Path) -> None:
    """The service answers, so a locustfile's users may start, and the load may sign in. Raises OSError."""
    _put(run_dir / FOLDER / _SERVICE, {})


def is_service_ready(run_dir: Path) -> bool:
    """Whether `write_service_ready` was called for the load."""
    return (run_dir / FOLDER / _SERVICE).exists()


def write_start(run_dir: Path, *, start_ns: int, t0_ns: int) -> None:
    _put(run_dir / FOLDER / _START, {"start_ns": start_ns, "t0_ns": t0_ns})


def write_stop(run_dir: Path, *, at_ns: int) -> None:
    _put(run_dir / FOLDER / _STOP, {"at_ns": at_ns})


def mark_ready(run_dir: Path, index: int) -> None:
    """Worker `index` is ready. Written by itself, or for it by whoever speaks to it. Raises OSError."""
    _put(_ready_file(run_dir, index), {"pid": os.getpid()})


def read_start(run_dir: Path) -> tuple[int, int] | None:
    """The monotonic times of the first possible arrival and of t = 0; None if start.json is not there yet."""
    start = _read(run_dir / FOLDER / _START)
    return (int(start["start_ns"]), int(start["t0_ns"])) if start else None


def read_stop(run_dir: Path) -> int | None:
    """The monotonic time at which the load ends early; None: it does not."""
    stop = _read(run_dir / FOLDER / _STOP)
    return int(stop["at_ns"]) if stop else None


class Lease:
    """A sign of life in a file: it is the file's time of modification, set to a time of the monotonic clock, so that a
    full disk does not matter and no clock on the wall is read. Between `tailgate worker` and its Locust process there
    is one in each direction."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of_parent(cls, run_dir: Path) -> Self:
        return cls(run_dir / FOLDER / "parent-alive")

    @classmethod
    def of_worker(cls, run_dir: Path) -> Self:
        return cls(run_dir / FOLDER / "worker-alive")

    def begin(self) -> None:
        """From now on it counts. Raises OSError."""
        self._path.touch()
        self.renew()

    def renew(self) -> None:
        """Nothing happens if it was never begun."""
        now_ns = time.monotonic_ns()
        with suppress(OSError):
            os.utime(self._path, ns=(now_ns, now_ns))

    def is_over(self, after_s: float) -> bool:
        """Whether it was begun and then not renewed for so long."""
        try:
            renewed_ns = self._path.stat().st_mtime_ns
        except OSError:
            return False
        return time.monotonic_ns() - renewed_ns > after_s * NS_PER_S


def failure(run_dir: Path, index: int) -> tuple[str, str] | None:
    """Why worker `index` cannot send, and how to fix it; None if it has reported nothing of the kind."""
    found = _read(_failed_file(run_dir, index))
    return (str(found["message"]), str(found["fix"])) if found else None


def clear_load(run_dir: Path) -> None:
    """The load is over and the stack goes on, which may have files of its own in the folder."""
    folder = run_dir / FOLDER
    of_workers = (*folder.glob("ready-*"), *folder.glob("failed-*"))
    for file in (*of_workers, folder / _SERVICE, folder / _START, folder / _STOP):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def clear(run_dir: Path) -> None:
    """Removes the folder after the run; ignores what cannot be removed."""
    shutil.rmtree(run_dir / FOLDER, ignore_errors=True)


class Handshake:
    """A worker's side of the handshake. `time.sleep` yields to other greenlets, since Locust patches it."""

    def __init__(self, run_dir: Path, index: int) -> None:
        self._run_dir = run_dir
        self._index = index
        self._parent = os.getppid()
        self._parent_alive = Lease.of_parent(run_dir)
        self._own_life = Lease.of_worker(run_dir)

    def ready(self) -> None:
        """Tell the supervisor that arrivals can be sent from now on."""
        (self._run_dir / FOLDER).mkdir(exist_ok=True)
        mark_ready(self._run_dir, self._index)

    def failed(self, message: str, fix: str) -> None:
        """Tell the supervisor why this worker cannot send. Both texts are for people and contain no secret."""
        _put(_failed_file(self._run_dir, self._index), {"message": message, "fix": fix})

    def await_service(self, within_s: float = SERVICE_WITHIN_S) -> None:
        """Returns when the service is ready. Raises RigError if that is not told in time."""
        give_up_ns = time.monotonic_ns() + int(within_s * NS_PER_S)
        while not is_service_ready(self._run_dir):
            if time.monotonic_ns() >= give_up_ns:
                raise RigError(f"worker {self._index} was not told within {within_s:g} s that the service is ready")
            time.sleep(POLL_S)

    def t0_ns(self, within_s: float = START_WITHIN_S) -> int:
        """Wait for start.json; returns the monotonic time of t = 0. Raises RigError if it does not come in time."""
        give_up_ns = time.monotonic_ns() + int(within_s * NS_PER_S)
        while time.monotonic_ns() < give_up_ns:
            if start := read_start(self._run_dir):
                return start[1]
            time.sleep(POLL_S)
        raise RigError(f"worker {self._index} was ready, and no {_START} came within {within_s:g} s")

    def stop_at_ns(self) -> int | None:
        """The monotonic time at which the load ends early; None: it does not."""
        return read_stop(self._run_dir)

    def is_orphan(self) -> bool:
        """Whether the process that started this one is gone, or gives no sign of life although it once did."""
        return self.is_abandoned() or self._parent_alive.is_over(PARENT_SILENT_S)

    def is_abandoned(self) -> bool:
        """Whether the process that started this one is gone."""
        return os.getppid() != self._parent

    def show_life(self) -> None:
        """Called at least once a second."""
        self._own_life.renew()


def _ready_file(run_dir: Path, index: int) -> Path:
    return run_dir / FOLDER / f"ready-{index}"


def _failed_file(run_dir: Path, index: int) -> Path:
    return run_dir / FOLDER / f"failed-{index}"


def _put(path: Path, document: Mapping[str, int | str]) -> None:
    replace_file(path, json.dumps(document) + "\n")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        found = json.loads(content)
    except ValueError:
        return None  # half-written by another program; the next read finds it whole
    return found if isinstance(found, dict) else None
