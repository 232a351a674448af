"""Periodic checks during the load: flush rows, notice an early end, exit if the parent process is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from harness.rundir.handshake import Handshake
from harness.units import NS_PER_S
from scenarios.drive.recorder import FLUSH_EVERY_S, Recorder, die

LOOK_EVERY_S = 0.1


class StopWatch:
    """Runs until the process ends. `stop_at_ns`: the monotonic time at which the load ends early; None: it does not."""

    def __init__(
        self,
        handshake: Handshake,
        recorder: Recorder,
        beat: Callable[[], None] = lambda: None,
        *,
        tidy_up: Callable[[], None] = lambda: None,
    ) -> None:
        """`beat`: called at every check. `tidy_up`: called last if the parent is gone, which would have done it."""
        self._beat = beat
        self._tidy_up = tidy_up
        self._handshake = handshake
        self._recorder = recorder
        self.stop_at_ns: int | None = None

    def start(self) -> None:
        gevent.spawn(self._run)

    def ends_ns(self, planned_ns: int) -> int:
        """The end of the load: the planned one, or an earlier one if the load is stopped."""
        return planned_ns if self.stop_at_ns is None else min(planned_ns, self.stop_at_ns)

    def _run(self) -> None:
        flush_ns = 0
        while True:
            self._beat()
            if self._handshake.is_orphan():
                self._recorder.close()
                if self._handshake.is_abandoned():
                    self._tidy_up()
                die("the process that started this worker is gone")
            if self.stop_at_ns is None:
                self.stop_at_ns = self._handshake.stop_at_ns()
            now_ns = time.monotonic_ns()
            if now_ns >= flush_ns:
                self._recorder.flush()
                self._handshake.show_life()
                flush_ns = now_ns + int(FLUSH_EVERY_S * NS_PER_S)
            gevent.sleep(LOOK_EVERY_S)
