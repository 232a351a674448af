"""Heartbeats between tailgate and its supervisor: how often each sends one, and when it gives the other up.

A closed pipe shows that the other process has ended. Silence shows that it was stopped (SIGSTOP), hangs, or gets no
CPU. The receiver counts silence in its own ticks, and a tick counts for at most `TICK_MOST_S`: if the whole machine was
suspended, the count was suspended as well, and no process is given up for that. This module reads no pipe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

BEAT_S: Final = 1.0
TICK_S: Final = 0.25
TICK_MOST_S: Final = 2 * TICK_S
SILENCE_S: Final = 5.0
"""Five heartbeats. Long enough for a garbage collection, a slow disk or a busy CI machine; short enough that everything
is undone within 15 s after a process was stopped."""
STANDSTILL_S: Final = 3.0
"""If this process sends a heartbeat so long after the last one, it did not run in between."""


class SilenceTimer:
    """How long the other process has sent nothing. Call `heard` from any thread, `lasts` from one thread only."""

    def __init__(self, limit_s: float = SILENCE_S, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock_s = clock_s
        self._ticked_s: float | None = None
        self._silent_s: float | None = None  # None: nothing has come yet, and its start has its own time limit

    def heard(self) -> None:
        """Note that the other process has sent something."""
        self._silent_s = 0.0

    def lasts(self) -> bool:
        """Whether the silence is longer than the limit. Call it once a tick; only time in which we ran counts."""
        now_s = self._clock_s()
        since_s = min(now_s - self._ticked_s, TICK_MOST_S) if self._ticked_s is not None else 0.0
        self._ticked_s = now_s
        if self._silent_s is None:
            return False
        self._silent_s += since_s
        return self._silent_s > self._limit_s


class HeartbeatTimer:
    """Calls `send` once a second until stopped, from its own thread, because the main thread may be busy for long."""

    def __init__(self, send: Callable[[], None], clock_s: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock_s = clock_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="signs of life")
        self._last_s = clock_s()
        self._stood_s = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No heartbeat is sent after this returns, unless the pipe itself is stuck. Idempotent."""
        self._note_gap(self._clock_s())
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(BEAT_S)

    @property
    def stood_still_s(self) -> float:
        """The longest time in seconds for which this process did not run, as after a SIGSTOP; 0 if it always ran."""
        if not self._stopped.is_set():
            self._note_gap(self._clock_s())
        return self._stood_s

    def _beat(self) -> None:
        while not self._stopped.wait(BEAT_S):
            now_s = self._clock_s()
            self._note_gap(now_s)
            self._last_s = now_s
            self._send()

    def _note_gap(self, now_s: float) -> None:
        gap_s = now_s - self._last_s
        if gap_s > STANDSTILL_S:
            self._stood_s = max(self._stood_s, gap_s)
