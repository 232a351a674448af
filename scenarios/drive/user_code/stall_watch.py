"""Ends a worker in which a task of the locustfile no longer lets anything else run, such as `while True: pass`.

All greenlets of a worker share one thread, so such a task stops the load and the checks of `watch` with it. A thread of
its own sees that; it is the only one besides gevent's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from gevent import monkey

STALLED_S: Final = 10.0
"""A worker that has not switched between greenlets for this long is stalled."""
LOOK_EVERY_S: Final = 1.0


class StallClock:
    """Decides whether the worker is stalled. Pure: the caller passes the time in s."""

    def __init__(self, stalled_s: float = STALLED_S) -> None:
        self._stalled_s = stalled_s
        self._beat = 0
        self._seen = -1
        self._since_s = 0.0
        self._looked_s = 0.0

    def beat(self) -> None:
        """A greenlet ran."""
        self._beat += 1

    def is_stalled(self, now_s: float) -> bool:
        """Whether no greenlet has run for `stalled_s`. Time in which nobody looked does not count: the whole process,
        or the machine, was suspended."""
        if self._beat != self._seen or now_s - self._looked_s > 3 * LOOK_EVERY_S:
            self._seen, self._since_s = self._beat, now_s
        self._looked_s = now_s
        return now_s - self._since_s >= self._stalled_s


def watch_thread(clock: StallClock, stalled: Callable[[FrameType | None], object]) -> None:
    """Starts a thread that calls `stalled` with the frame of the calling thread when that is stalled."""
    get_ident: Callable[[], int] = monkey.get_original("_thread", "get_ident")
    start: Callable[..., Any] = monkey.get_original("_thread", "start_new_thread")
    sleep: Callable[[float], None] = monkey.get_original("time", "sleep")
    watched = get_ident()

    def watch() -> None:
        while not clock.is_stalled(time.monotonic()):
            sleep(LOOK_EVERY_S)
        stalled(sys._current_frames().get(watched))

    start(watch, ())
