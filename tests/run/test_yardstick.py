"""The yardstick: a median of slices on every core, bounded in time."""

from __future__ import annotations

import os
import threading
from itertools import count

import pytest

from harness.run import yardstick


@pytest.fixture(autouse=True)
def _one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)


class Machine:
    """A clock that the work moves on: `slices_ms` are how long the slices take, the last one for ever."""

    def __init__(self, *slices_ms: float) -> None:
        self.now_ns = 0
        self.done = 0
        self._slices_ms = slices_ms

    def work(self) -> None:
        self.now_ns += round(1e6 * self._slices_ms[min(self.done, len(self._slices_ms) - 1)])
        self.done += 1

    def measure_ms(self) -> float:
        return yardstick.measure_ms(self.work, lambda: self.now_ns)


def test_the_median_slice_counts() -> None:
    assert Machine(10).measure_ms() == pytest.approx(200)
    assert Machine(50, 900, 10).measure_ms() == pytest.approx(200)  # interrupted for a moment
    assert Machine(*[10, 14] * 4, 15).measure_ms() == pytest.approx(300)


def test_slices_that_agree_need_no_more() -> None:
    quiet = Machine(*[10] * 3, 900, 10.2)
    assert quiet.measure_ms() == pytest.approx(200)
    assert quiet.done == yardstick.ROUND
    later = Machine(*[10, 12] * 2, 11)
    assert later.measure_ms() == pytest.approx(220)
    assert later.done == 2 * yardstick.ROUND


def test_slices_that_differ_are_all_done() -> None:
    busy = Machine(*[10, 11] * (yardstick.SLICES // 4), 12)
    assert busy.measure_ms() == pytest.approx(230)
    assert busy.done == yardstick.SLICES


def test_a_machine_that_is_slow_and_busy_ends_in_time() -> None:
    machine = Machine(200, 1_900, 300)
    machine.measure_ms()
    assert machine.done == 2
    assert Machine(3_000).measure_ms() == pytest.approx(60_000)


def test_a_very_slow_machine_does_fewer_slices() -> None:
    machine = Machine(900)
    assert machine.measure_ms() == pytest.approx(18_000)
    assert machine.done == 3


def test_every_core_works_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    together, done = threading.Barrier(3, timeout=10), count()

    def work() -> None:
        together.wait()
        next(done)

    yardstick.measure_ms(work)
    assert next(done) in range(3 * yardstick.ROUND, 3 * yardstick.SLICES + 1, 3 * yardstick.ROUND)


def test_the_work_takes_time() -> None:
    assert yardstick.measure_ms() > 10
