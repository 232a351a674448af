"""Counts Ctrl-C, Ctrl-Z and similar signals during a run; the run acts on them where it is safe to.

The first signal asks the run to stop: the faults are removed, the evidence is kept, and the run is judged as
interrupted. A second one skips the judging, but never the removal of the faults. No handler raises, so a second signal
cuts no cleanup short. A run cannot be suspended: its faults would stay active without supervision, and measurements
after the pause would be worthless.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from harness.errors import Interrupted

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP)
TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)
"""Signals that a terminal sends to a background job that reads from it, or writes to it after `stty tostop`. They are
ignored, because they would suspend the run with its faults active."""


class Stopper:
    """A context manager that counts the requests to stop, and restores the former signal handlers at its end."""

    def __init__(self) -> None:
        self.count = 0
        self._suspending = False  # whether the first of them was Ctrl-Z
        self._former: dict[signal.Signals, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether a stop was requested."""
        return self.count > 0

    @property
    def impatient(self) -> bool:
        """Whether a stop was requested twice, so that judging is skipped."""
        return self.count > 1

    def check(self) -> None:
        """Raise Interrupted if a stop was requested."""
        if self.asked:
            raise Interrupted(f"{self.why}stopped before anything was measured")

    @property
    def why(self) -> str:
        """What to write before "stopping" for a user who pressed Ctrl-Z and wanted to suspend the run; else empty."""
        return "Ctrl-Z: a run cannot be suspended with its faults active; " if self._suspending else ""

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self._suspending = number == signal.SIGTSTP
        self.count += 1

    def __enter__(self) -> Self:
        for number in STOPPING:
            if number in (signal.SIGHUP, signal.SIGTSTP) and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started by nohup, or without job control, to run independently of its terminal
            self._former[number] = signal.signal(number, self._note)
        for number in TERMINAL:
            self._former[number] = signal.signal(number, signal.SIG_IGN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
