"""How well the clocks of other machines are known, from exchanges of a made-up network."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.evidence.joining.clocks import DRIFT, WorkerClock, clocks_of
from harness.rundir.remote.clocks import ClockReading
from harness.rundir.rows import SAMPLES
from harness.units import NS_PER_MS, NS_PER_S

AHEAD_NS = 5_000 * NS_PER_S


def exchange(at_ns: int, there_ns: int, back_ns: int, offset_ns: float, worker: int = 0) -> ClockReading:
    """An exchange that leaves here at `at_ns`; the ways take so long."""
    return ClockReading.of_exchange(
        worker,
        "b",
        "during",
        sent_ns=at_ns,
        worker_ns=round(at_ns + there_ns + offset_ns),
        received_ns=at_ns + there_ns + back_ns,
    )


def clock_of(readings: list[ClockReading], applied_ns: int = AHEAD_NS) -> WorkerClock:
    base = readings[0].model_copy(update={"when": "applied", "offset_ns": applied_ns})
    return clocks_of([*readings, base])[readings[0].worker]


def test_the_best_of_several_exchanges_counts() -> None:
    readings = [exchange(i * NS_PER_MS, 900_000 if i else 10_000, 10_000, AHEAD_NS) for i in range(5)]
    clock = clock_of(readings)
    assert abs(clock.offset_ns).max() <= 10_000 + 5 * DRIFT * NS_PER_MS
    assert clock.uncertainty_ns.max() <= 10_000 + 5 * DRIFT * NS_PER_MS


@given(
    seed=st.integers(0, 10_000),
    ppm=st.floats(-490, 490),
    begin_ns=st.integers(-(10**15), 10**15),
    count=st.integers(1, 40),
)
@example(seed=906, ppm=490.0, begin_ns=0, count=1)  # the way back takes next to nothing
def test_the_true_offset_is_always_within_what_is_said(seed: int, ppm: float, begin_ns: int, count: int) -> None:
    """Whatever the two ways of an exchange take, and however the clock drifts, as long as the kernel may slew so."""
    rng = random.Random(seed)

    def true_ns(at_ns: float) -> float:
        return begin_ns + ppm * 1e-6 * at_ns

    readings = []
    for second in range(count):
        at_ns, there_ns = second * NS_PER_S, round(rng.expovariate(1 / 2e6))
        readings.append(exchange(at_ns, there_ns, round(rng.expovariate(1 / 2e6)), true_ns(at_ns + there_ns)))
    clock = clock_of(readings, applied_ns=0)
    assert not clock.jumped
    wrong = np.abs(clock.offset_ns - [true_ns(at_ns) for at_ns in clock.t_ns.tolist()])
    assert (wrong <= clock.uncertainty_ns + 1).all()  # the worker's clock is read in whole ns


def test_a_drift_is_followed() -> None:
    readings = [exchange(s * NS_PER_S, 50_000, 50_000, AHEAD_NS + 100e-6 * s * NS_PER_S) for s in range(61)]
    clock = clock_of(readings)
    rows = np.zeros(2, SAMPLES.dtype())
    rows["intended_ns"], rows["done_ns"] = [0, 60 * NS_PER_S], [NS_PER_S, 62 * NS_PER_S]
    moved = clock.corrected(rows)
    assert moved["intended_ns"].tolist() == pytest.approx([0, 60 * NS_PER_S - 6 * NS_PER_MS], abs=60_000)
    assert (moved["done_ns"] - moved["intended_ns"]).tolist() == [NS_PER_S, 2 * NS_PER_S]  # of one clock, as before
    assert (rows["intended_ns"] == [0, 60 * NS_PER_S]).all()  # the file's own are not touched


def test_an_unknown_time_stays_unknown() -> None:
    rows = np.zeros(1, SAMPLES.dtype())
    rows["intended_ns"] = NS_PER_S
    moved = clock_of([exchange(0, 5, 5, AHEAD_NS + NS_PER_MS)]).corrected(rows)
    assert (moved["first_ns"][0], moved["sent_ns"][0]) == (0, 0)
    assert moved["intended_ns"][0] == NS_PER_S - NS_PER_MS


def test_a_clock_that_jumps_is_noticed() -> None:
    readings = [exchange(s * NS_PER_S, 50_000, 50_000, AHEAD_NS + (s > 2) * 30 * NS_PER_MS) for s in range(6)]
    assert clock_of(readings).jumped


def test_between_exchanges_and_after_the_last_one_less_is_known() -> None:
    clock = clock_of([exchange(0, 50_000, 50_000, AHEAD_NS), exchange(8 * NS_PER_S, 50_000, 50_000, AHEAD_NS)])
    near, far = clock.worst_ns(0, 1), clock.worst_ns(0, 8 * NS_PER_S)
    assert near == pytest.approx(50_000, rel=0.1)
    assert far == pytest.approx(50_000 + 4 * NS_PER_S * DRIFT, rel=0.01)
    assert clock.worst_ns(0, 20 * NS_PER_S) == pytest.approx(50_000 + 12 * NS_PER_S * DRIFT, rel=0.02)


def test_a_worker_without_any_exchange_has_no_clock() -> None:
    base = exchange(0, 1, 1, 0).model_copy(update={"when": "applied"})
    assert clocks_of([base]) == {}
    assert clocks_of([exchange(0, 1, 1, 0)]) == {}
