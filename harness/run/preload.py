"""Imports the modules of judging and reporting during the warm-up, so that the verdict need not wait for them.

numpy, scipy, pandas and jinja2 take longer to import than a run takes to judge. A thread of low priority imports them,
so that the processes of the load come first. A module with `prepare()` has more to do that needs no run, such as
compiling the report's template. This only saves time: what was not done here, or could not be, is done when it is
needed.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from types import TracebackType
from typing import Final, Self

from harness.rundir.plan import Plan

MODULES: Final = (
    "harness.verdict",
    "harness.rundir.results",
    "harness.gates.batch_means",
    "harness.gates.detection.named_judge",
    "harness.gates.exceedance",
    "harness.gates.latency_judge",
    "harness.gates.readings.resource_judge",
    "reports.report",
    "reports.formats.csv",
    "reports.formats.json",
    "reports.formats.junit",
    "reports.formats.md",
    "reports.formats.html",
)
"""The modules that `harness.run.run.judge_and_report` imports, directly or when gates judge."""
WARMUP_LEAST_MS: Final = 2_000
"""During a shorter warm-up nothing is imported, because the imports would go on in the baseline and disturb it."""
NICENESS: Final = 5
"""The thread's niceness. A higher one could delay the heartbeat: the thread holds Python's global lock as it works."""
_END_WITHIN_S: Final = 10.0
"""At its end the context waits this long for the import under way."""


class Preload:
    """A context manager. At its end no further module is loaded, and the one under way is waited for."""

    def __init__(self, modules: tuple[str, ...] = MODULES) -> None:
        self._modules = modules
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def start(self, plan: Plan) -> None:
        """Start to import, if the plan's warm-up is long enough; call it when the warm-up begins. Idempotent."""
        if self._thread or plan.load.warmup_ms < WARMUP_LEAST_MS:
            return
        self._thread = threading.Thread(target=self._work, daemon=True, name="imports for the judge")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join(_END_WITHIN_S)

    def _work(self) -> None:
        if sys.platform == "linux":  # on Linux a priority applies to a thread and not to its process
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        for module in self._modules:
            if self._ended.is_set():
                return
            with suppress(Exception):  # the judge does it again, and raises the error in the main thread
                load(module)


def load(name: str) -> None:
    """Import a module, and do what it can do before the run is over."""
    module = import_module(name)
    if hasattr(module, "prepare"):
        module.prepare()
