"""Ctrl-C, Ctrl-Z and their kin while a run is on: noted here, acted on where it is safe to.

The first signal asks the run to stop: faults undone, evidence kept, judged as interrupted. A second
one skips the judging, never the rollback. Nothing is raised from inside a handler, so no cleanup
can be cut in half by an impatient user. A run cannot be suspended: with its faults in force nobody
would look after them, and what it measured after a pause would say nothing.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from harness.errors import Interrupted

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP)
TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)
"""What a terminal sends to jobs in the background that read it, or write to it after `stty tostop`. Ignored:
they would stop the run with its faults in force."""


class Stopper:
    """Counts the requests to stop while it is entered; restores the former handlers afterwards."""

    def __init__(self) -> None:
        self.count = 0
        self._suspending = False  # whether the first of them was Ctrl-Z
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
            raise Interrupted(f"{self.why}stopped before anything was measured")

    @property
    def why(self) -> str:
        """What to say before "stopping" to whoever wanted something else; mostly nothing."""
        return "Ctrl-Z: a run cannot be suspended with its faults in force; " if self._suspending else ""

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self._suspending = number == signal.SIGTSTP
        self.count += 1

    def __enter__(self) -> Self:
        for number in STOPPING:
            if number in (signal.SIGHUP, signal.SIGTSTP) and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started by nohup, or without job control: told not to mind its terminal
            self._former[number] = signal.signal(number, self._note)
        for number in TERMINAL:
            self._former[number] = signal.signal(number, signal.SIG_IGN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
