"""Looks around while the load is on: rows to disk, an early end, a parent that is gone."""

from __future__ import annotations

import time

import gevent

from harness.rundir.handshake import Handshake
from harness.units import NS_PER_S
from scenarios.drive.recorder import FLUSH_EVERY_S, Recorder, die

LOOK_EVERY_S = 0.1


class StopWatch:
    """`stop_at_ns` is the moment of an early end once one is known. Runs until the process ends."""

    def __init__(self, handshake: Handshake, recorder: Recorder) -> None:
        self._handshake = handshake
        self._recorder = recorder
        self.stop_at_ns: int | None = None

    def start(self) -> None:
        gevent.spawn(self._run)

    def ends_ns(self, planned_ns: int) -> int:
        """The end of the load as far as is known now."""
        return planned_ns if self.stop_at_ns is None else min(planned_ns, self.stop_at_ns)

    def _run(self) -> None:
        flush_ns = 0
        while True:
            if self._handshake.is_orphan():
                self._recorder.close()
                die("the process that started this worker is gone")
            if self.stop_at_ns is None:
                self.stop_at_ns = self._handshake.stop_at_ns()
            now_ns = time.monotonic_ns()
            if now_ns >= flush_ns:
                self._recorder.flush()
                flush_ns = now_ns + int(FLUSH_EVERY_S * NS_PER_S)
            gevent.sleep(LOOK_EVERY_S)
