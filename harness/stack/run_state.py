"""What has happened to the run so far. Only this module writes manifest.json while the supervisor lives.

It decides nothing. The first reason to end is the reason of the run; later troubles and deaths are recorded, but do not
change it. If the manifest cannot be written, an event says so, and the judge finds it missing or unfinished.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import psutil

from harness import __version__
from harness.errors import RigError, TailgateError
from harness.rundir.manifest import TAILGATE, HarnessFault, Manifest, ProcessExit, RunEnd, ToxiproxyInfo
from harness.rundir.plan import Plan
from harness.secrets.redact import redact
from harness.stack.events import ChildDied, Event, LoadStarted, RigTrouble
from harness.text import one_line, paragraph

Reason = Literal["done", "fail_fast", "aborted", "warmup_failed", "interrupted", "service_gone", "rig", "never_ready"]

DISK_FIX: Final = "make room on the disk (or raise the file-size limit, ulimit -f), then run again"
NO_ENGINE: Final = ToxiproxyInfo(kind="none")


class RunState:
    """The state of one run. `secrets` may grow during the run; their values are removed from every message."""

    def __init__(self, run_dir: Path, plan: Plan, emit: Callable[[Event], None], secrets: Collection[str] = ()) -> None:
        self.emit = emit
        self.reason: Reason | None = None
        self.stop_at_ns: int | None = None
        self._run_dir = run_dir
        self._secrets = secrets
        self._deaths: list[ProcessExit] = []
        self._faults: list[HarnessFault] = []
        self._manifest = Manifest(
            run_id=plan.run_id,
            stack_id=plan.stack_id,
            tool_version=__version__,
            started_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            boot_id=boot_id(),
            wall_offset_ns=time.time_ns() - time.monotonic_ns(),
            engine=NO_ENGINE,
            host=host(),
        )

    @property
    def in_trouble(self) -> bool:
        return bool(self._faults)

    def open(self, engine: ToxiproxyInfo | None = None, host: Mapping[str, str] | None = None) -> None:
        """Write the manifest with what is known now. Call it again when more is known."""
        self._update(engine=engine or self._manifest.engine, host={**self._manifest.host, **(host or {})})

    def started(self, t0_ns: int) -> None:
        self._update(t0_ns=t0_ns)
        self.emit(LoadStarted(t0_ns=t0_ns))

    def end_for(self, reason: Reason, at_ns: int | None = None) -> None:
        """Note why the run ends, and when (monotonic ns). Only the first call counts."""
        if self.reason is None:
            self.reason, self.stop_at_ns = reason, at_ns

    def trouble(self, fault: HarnessFault) -> None:
        """Record something that is the harness's fault, and emit it. The same fault is recorded once."""
        fault = fault.model_copy(update={"message": paragraph(redact(fault.message, self._secrets))})
        if fault not in self._faults:
            self._faults.append(fault)
            self.emit(RigTrouble(fault=fault))

    def died(self, death: ProcessExit) -> None:
        """Record that a child has ended, and emit it."""
        death = death.model_copy(update={"last_line": one_line(redact(death.last_line, self._secrets))})
        self._deaths.append(death)
        self.emit(ChildDied(death=death))

    def close(self, rollback_verified: bool | None) -> RunEnd:
        """Finish the manifest. Returns how the run ended; its faults include a manifest that cannot be written."""
        self._update(ended=self.ended(rollback_verified))
        return self.ended(rollback_verified)

    def ended(self, rollback_verified: bool | None) -> RunEnd:
        return RunEnd(
            reason=self.reason or "done",
            stop_at_ns=self.stop_at_ns,
            deaths=tuple(self._deaths),
            rig=tuple(self._faults),
            rollback_verified=rollback_verified,
        )

    def _update(self, **changes: object) -> None:
        self._manifest = self._manifest.model_copy(update=changes)
        try:
            self._manifest.write(self._run_dir)
        except OSError as exc:
            self.trouble(disk_fault("manifest.json", exc))


def disk_fault(name: str, exc: OSError) -> HarnessFault:
    return HarnessFault(
        check="files",
        message=f"{name} could not be written: {exc.strerror or exc}",
        fix=DISK_FIX,
    )


def disk_error(exc: OSError) -> RigError:
    fault = disk_fault(Path(exc.filename).name if exc.filename else "the run directory", exc)
    return RigError(fault.message, fault.fix)


def fault_of(exc: Exception, file_name: str) -> HarnessFault:
    """What an exception at the top of a supervisor's task means for the run. `file_name`: what the task writes."""
    if isinstance(exc, TailgateError):
        part = exc.part if isinstance(exc, RigError) else ""
        return HarnessFault(check="workers", message=exc.message, fix=exc.fix, part=part)
    if isinstance(exc, OSError) and not isinstance(exc, TimeoutError | ConnectionError):
        return disk_fault(Path(exc.filename).name if exc.filename else file_name, exc)
    traceback.print_exception(exc)
    return HarnessFault(
        check="workers",
        message=f"the supervisor failed: {type(exc).__name__}: {exc}",
        fix="this is a bug of tailgate: report it with logs/supervisor.log",
        part=TAILGATE,
    )


def host() -> dict[str, str]:
    """The entries of the report's environment table: cores, memory in bytes, versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(cores),
        "memory_bytes": str(psutil.virtual_memory().total),
        "locust": importlib.metadata.version("locust"),
    }


def boot_id() -> str:
    """An id that changes with every boot, because the zero of the monotonic clock does as well."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"booted-{psutil.boot_time():.0f}"
