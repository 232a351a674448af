"""A worker that no longer switches between greenlets is noticed by a thread of its own."""

from __future__ import annotations

import threading
from types import FrameType

from scenarios.drive.user_code.stall_watch import StallClock, watch_thread


def test_a_worker_that_does_not_beat_is_stalled() -> None:
    clock = StallClock(stalled_s=10.0)
    assert [clock.is_stalled(now_s) for now_s in range(100, 110)] == [False] * 10
    assert clock.is_stalled(110)


def test_each_beat_begins_anew() -> None:
    clock = StallClock(stalled_s=10.0)
    for now_s in range(100, 160):
        if now_s % 9 == 0:
            clock.beat()
        assert not clock.is_stalled(now_s)


def test_a_suspended_machine_is_no_stall() -> None:
    clock = StallClock(stalled_s=10.0)
    assert not clock.is_stalled(100)
    assert not clock.is_stalled(500), "nobody looked meanwhile"
    assert not clock.is_stalled(501)


def test_the_thread_tells_where_the_stalled_one_is() -> None:
    frames: list[str] = []
    told = threading.Event()

    def stalled(frame: FrameType | None) -> None:
        while frame is not None:
            frames.append(frame.f_code.co_name)
            frame = frame.f_back
        told.set()

    def spins() -> None:
        while not told.is_set():
            pass

    watch_thread(StallClock(stalled_s=0.0), stalled)
    spins()
    assert "spins" in frames or "is_set" in frames
