"""Signs of life on the supervisor's pipe, both ways: how often, and after how long a silence the other is given up.

A closed pipe tells of a death; silence tells of a process that was stopped (SIGSTOP), hangs, or gets no
CPU. It is counted in the listener's own ticks, none of which counts for more than `TICK_MOST_S`: when
the machine itself stood still, so did the count, and nobody is given up for that. It reads no pipe.
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
"""Five beats. Long enough for a collection, a slow disk or a busy CI machine; short enough that undoing
everything afterwards ends within 15 s of the moment that somebody was stopped."""
STANDSTILL_S: Final = 3.0
"""A beat that comes so much later than it should: whoever sends it did not run meanwhile."""


class SilenceTimer:
    """How long the other side has said nothing. `heard` may be called from any thread, `lasts` from one."""

    def __init__(self, limit_s: float = SILENCE_S, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock_s = clock_s
        self._ticked_s: float | None = None
        self._silent_s: float | None = None  # None: it has not said its first word, which is awaited elsewhere

    def heard(self) -> None:
        self._silent_s = 0.0

    def lasts(self) -> bool:
        """Tick: whether it has lasted beyond the limit, by the time that we ourselves were running."""
        now_s = self._clock_s()
        since_s = min(now_s - self._ticked_s, TICK_MOST_S) if self._ticked_s is not None else 0.0
        self._ticked_s = now_s
        if self._silent_s is None:
            return False
        self._silent_s += since_s
        return self._silent_s > self._limit_s


class HeartbeatTimer:
    """Calls `send` once a second from a thread of its own, until stopped: the main thread may be busy for long."""

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
        """None is sent after this returns, unless the pipe itself is stuck. Idempotent."""
        self._note_gap(self._clock_s())
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(BEAT_S)

    @property
    def stood_still_s(self) -> float:
        """The longest that this process did not run, as one stopped by a signal does not; 0 for never."""
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
