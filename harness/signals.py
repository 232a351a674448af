"""Ctrl-C and its kin while a run is on: noted here, acted on where it is safe to.

The first signal asks the run to stop: faults undone, evidence kept, judged as interrupted. A second
one skips the judging, never the rollback. Nothing is raised from inside a handler, so no cleanup
can be cut in half by an impatient user.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from harness.errors import Interrupted

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopper:
    """Counts the requests to stop while it is entered; restores the former handlers afterwards."""

    def __init__(self) -> None:
        self.count = 0
        self._former: dict[signal.Signals, Any] = {}

    @property
    def asked(self) -> bool:
        return self.count > 0

    @property
    def impatient(self) -> bool:
        """Asked twice: leave judging out."""
        return self.count > 1

    def check(self) -> None:
        """Raise Interrupted once a stop was asked for."""
        if self.asked:
            raise Interrupted("stopped before anything was measured")

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1

    def __enter__(self) -> Self:
        for number in STOPPING:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started by nohup: told to outlive its terminal
            self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
