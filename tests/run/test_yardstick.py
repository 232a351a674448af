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
    """A clock that the work moves on: `pieces_ms` are how long the pieces take, the last one for ever."""

    def __init__(self, *pieces_ms: float) -> None:
        self.now_ns = 0
        self.done = 0
        self._pieces_ms = pieces_ms

    def work(self) -> None:
        self.now_ns += round(1e6 * self._pieces_ms[min(self.done, len(self._pieces_ms) - 1)])
        self.done += 1

    def measure_ms(self) -> float:
        return yardstick.measure_ms(self.work, lambda: self.now_ns)


A_ROUND = yardstick.ROUND * yardstick.PIECES
ALL = yardstick.SLICES * yardstick.PIECES


def test_the_median_slice_counts() -> None:
    assert Machine(2).measure_ms() == pytest.approx(200)
    assert Machine(10, 180, 2).measure_ms() == pytest.approx(200)  # interrupted for a moment
    assert Machine(*[2, 2, 2, 2, 6] * yardstick.SLICES).measure_ms() == pytest.approx(280)


def test_pieces_that_agree_need_no_more() -> None:
    quiet = Machine(*[2] * 9, 2.04)
    assert quiet.measure_ms() == pytest.approx(200, rel=0.01)
    assert quiet.done == A_ROUND
    later = Machine(3, 3, *[2] * ALL)
    assert later.measure_ms() == pytest.approx(200)
    assert later.done == 3 * A_ROUND, "two of ten differ, two of twenty, two of thirty"


def test_pieces_that_differ_are_all_done() -> None:
    busy = Machine(*[2, 2.2] * (ALL // 2))
    assert busy.measure_ms() == pytest.approx(210, rel=0.01)
    assert busy.done == ALL


def test_another_program_shows_that_runs_between_every_third_pair_of_pieces() -> None:
    """It takes a third of the core in turns of 3 ms: most pieces of 2 ms are as short as ever, and no slice is."""
    shared = Machine(*[2, 2, 5] * ALL)
    assert shared.measure_ms() == pytest.approx(300, rel=0.1)
    assert shared.done == ALL


def test_a_machine_that_is_slow_and_busy_ends_in_time() -> None:
    machine = Machine(200, 1_900, 300)
    machine.measure_ms()
    assert machine.done == 2
    assert Machine(3_000).measure_ms() == pytest.approx(300_000)


def test_a_very_slow_machine_does_fewer_slices() -> None:
    machine = Machine(900)
    assert machine.measure_ms() == pytest.approx(90_000)
    assert machine.done == 3


def test_every_core_works_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    together, done = threading.Barrier(3, timeout=10), count()

    def work() -> None:
        together.wait()
        next(done)

    yardstick.measure_ms(work)
    assert next(done) in range(3 * A_ROUND, 3 * ALL + 1, 3 * A_ROUND)


def test_the_work_takes_time() -> None:
    assert yardstick.measure_ms() > 10
