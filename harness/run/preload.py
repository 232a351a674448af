"""Imports what judging and reporting need while the load warms up, so that they need not wait for it after the load.

numpy, scipy, pandas and jinja2 take longer to import than a run takes to judge. A thread of low priority does it: the
processes of the load come first. It is no more than a head start, since whatever was not imported, or cannot be, is
imported where it is used.
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
    "harness.gates.batch_means",
    "harness.gates.detection.named_judge",
    "harness.gates.exceedance",
    "harness.gates.latency_judge",
    "harness.gates.resource_judge",
    "reports.report",
    "reports.formats.csv",
    "reports.formats.json",
    "reports.formats.junit",
    "reports.formats.md",
    "reports.formats.html",
)
"""What `harness.run.run.judge_and_report` would import: what it names itself, and what gates import when they judge."""
WARMUP_LEAST_MS: Final = 2_000
"""In a shorter warm-up it would not be done before the baseline, which is measured."""
NICENESS: Final = 5
"""Of the thread. Not more: it holds Python's lock while it works, and the signs of life to the supervisor wait."""
_END_WITHIN_S: Final = 10.0


class Preload:
    """A context: on leaving it no further module is begun, and the one under way is waited for."""

    def __init__(self, modules: tuple[str, ...] = MODULES) -> None:
        self._modules = modules
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def start(self, plan: Plan) -> None:
        """Begin, at the begin of the plan's warm-up, if it is long enough. Idempotent."""
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
        if sys.platform == "linux":  # where a priority belongs to a thread, not to its process
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        for module in self._modules:
            if self._ended.is_set():
                return
            with suppress(Exception):  # the judge will say so, in the thread where somebody hears of it
                import_module(module)
