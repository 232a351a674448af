"""Signs of life: silence counts in the listener's own time, so a machine that stands still gives nobody up."""

from __future__ import annotations

import threading
import time

from harness.stack.supervisor import heartbeat
from harness.stack.supervisor.heartbeat import (
    BEAT_S,
    SILENCE_S,
    STANDSTILL_S,
    TICK_MOST_S,
    TICK_S,
    HeartbeatTimer,
    SilenceTimer,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _ticks(silence: SilenceTimer, clock: Clock, for_s: float, tick_s: float = TICK_S) -> bool:
    """Whether the other side is given up within `for_s` of ticks."""
    end_s = clock.now_s + for_s
    while clock.now_s < end_s:
        clock.now_s += tick_s
        if silence.lasts():
            return True
    return False


def test_silence_is_given_up_on_after_five_beats() -> None:
    clock = Clock()
    silence = SilenceTimer(clock_s=clock)
    silence.heard()
    assert not silence.lasts()
    assert not _ticks(silence, clock, SILENCE_S - TICK_S)
    assert _ticks(silence, clock, 2 * TICK_S)


def test_every_word_begins_it_anew() -> None:
    clock = Clock()
    silence = SilenceTimer(clock_s=clock)
    for _ in range(20):
        silence.heard()
        assert not _ticks(silence, clock, 4 * BEAT_S)


def test_before_the_first_word_nobody_is_given_up() -> None:
    clock = Clock()
    assert not _ticks(SilenceTimer(clock_s=clock), clock, 10 * SILENCE_S)


def test_a_machine_that_stood_still_does_not_count() -> None:
    clock = Clock()
    silence = SilenceTimer(clock_s=clock)
    silence.heard()
    silence.lasts()
    for _ in range(3):  # three stalls of a minute each, in which nobody ran
        clock.now_s += 60
        assert not silence.lasts()
    assert not _ticks(silence, clock, SILENCE_S - 3 * TICK_MOST_S - TICK_S)
    assert _ticks(silence, clock, 2 * TICK_S)


def test_a_slow_listener_gives_up_later_never_earlier() -> None:
    clock = Clock()
    silence = SilenceTimer(clock_s=clock)
    silence.heard()
    silence.lasts()
    assert not _ticks(silence, clock, 2 * SILENCE_S - 1, tick_s=1.0)
    assert _ticks(silence, clock, 2.0, tick_s=1.0)


def test_beats_come_from_a_thread_while_the_main_thread_is_busy() -> None:
    sent: list[float] = []
    beats = HeartbeatTimer(lambda: sent.append(time.monotonic()))
    beats.start()
    end_s = time.monotonic() + 2.6 * BEAT_S
    while time.monotonic() < end_s:  # busy, as judging is; it never sleeps
        sum(range(1000))
    beats.stop()
    assert len(sent) == 2
    assert beats.stood_still_s == 0
    assert "signs of life" not in [thread.name for thread in threading.enumerate()]


def test_who_sends_knows_that_it_was_stopped() -> None:
    clock = Clock()
    beats = HeartbeatTimer(lambda: None, clock_s=clock)
    clock.now_s += STANDSTILL_S - 0.1
    assert beats.stood_still_s == 0
    clock.now_s += 12.3
    assert round(beats.stood_still_s, 1) == STANDSTILL_S + 12.2
    beats.stop()
    clock.now_s += 100
    assert round(beats.stood_still_s, 1) == STANDSTILL_S + 12.2, "what comes after its end is not its business"


def test_undoing_after_a_silence_ends_within_fifteen_seconds() -> None:
    from harness.stack.supervisor.teardown import URGENT_LONGEST_S

    assert heartbeat.SILENCE_S + (URGENT_LONGEST_S - SILENCE_S) <= 15
