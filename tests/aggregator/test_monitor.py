"""The monitor of one backend, on an injected clock: how soon it raises and clears, and what never makes it raise."""

from __future__ import annotations

import heapq
import itertools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from aggregator.monitoring.baseline import ANSWERS_TO_LEARN, LATER_AT_LEAST_S, MEMORY, Baseline
from aggregator.monitoring.monitor import IDLE_S, AlertChange, Call, Monitor

HUNG = math.inf
FAULT_S = (100.0, 160.0)
Takes = Callable[[float, Random], float]
"""How long a call that begins at this second takes; below zero: it fails at once."""


@dataclass
class Bench:
    """A monitor, its clock, and what it told and when."""

    now_s: float = 0.0
    told: list[tuple[float, AlertChange]] = field(default_factory=list)
    monitor: Monitor = field(init=False)

    def __post_init__(self) -> None:
        self.monitor = Monitor(lambda change: self.told.append((self.now_s, change)), lambda: self.now_s)

    @property
    def changes(self) -> list[bool]:
        return [change.degraded for _, change in self.told]

    def answer(self, takes_s: float, times: int = 1, every_s: float = 1.0) -> None:
        """One call after the other, each begun `every_s` after the one before it."""
        for _ in range(times):
            call = self.monitor.begin()
            self.now_s += takes_s
            self.monitor.answered(call)
            self.now_s += max(0.0, every_s - takes_s)

    def fail(self, times: int = 1, every_s: float = 1.0) -> None:
        for _ in range(times):
            self.monitor.failed(self.monitor.begin())
            self.now_s += every_s

    def learn(self) -> None:
        """Answers in 50 to 70 ms are normal."""
        for _ in range(ANSWERS_TO_LEARN):
            self.answer(0.05)
            self.answer(0.07)


def play(takes: Takes, rate: float, until_s: float, *, deadline_s: float = HUNG, seed: int = 0) -> Bench:
    """Poisson arrivals at `rate` a second."""
    bench, rng, order = Bench(), Random(seed), itertools.count()
    at_s = rng.expovariate(rate)
    events: list[tuple[float, int, Call | None, Callable[[Call], None] | None]] = [(at_s, next(order), None, None)]
    monitor = bench.monitor
    while events:
        bench.now_s, _, ends, how = heapq.heappop(events)
        if ends is not None and how is not None:
            how(ends)
            continue
        call, takes_s = monitor.begin(), takes(bench.now_s, rng)
        if takes_s < 0:
            monitor.failed(call)
        elif takes_s > deadline_s:
            heapq.heappush(events, (bench.now_s + deadline_s, next(order), call, monitor.timed_out))
        elif takes_s < HUNG:
            heapq.heappush(events, (bench.now_s + takes_s, next(order), call, monitor.answered))
        at_s = bench.now_s + rng.expovariate(rate)
        if at_s < until_s:
            heapq.heappush(events, (at_s, next(order), None, None))
    return bench


def lognormal(p50_s: float, p99_s: float) -> Takes:
    spread = math.log(p99_s / p50_s) / 2.326
    return lambda _, rng: p50_s * math.exp(spread * rng.gauss(0, 1))


well = lognormal(0.06, 0.14)


def during_the_fault(bad: Takes) -> Takes:
    return lambda at_s, rng: (bad if FAULT_S[0] <= at_s < FAULT_S[1] else well)(at_s, rng)


# ---------------------------------------------------------------- raised and cleared in time

FAULTS: dict[str, tuple[Takes, float]] = {
    "hangs, deadline": (lambda *_: HUNG, 1.0),
    "hangs, no deadline": (lambda *_: HUNG, HUNG),
    "held until it ends": (lambda at_s, _: FAULT_S[1] - at_s, HUNG),
    "60 ms become 300 ms": (lambda *_: 0.3, 1.0),
    "slower with a tail": (lognormal(0.3, 0.7), 1.0),
    "fails at once": (lambda *_: -1.0, 1.0),
    "every second one hangs": (lambda at_s, rng: HUNG if rng.uniform(0, 1) < 0.5 else well(at_s, rng), 1.0),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("rate", [8, 20, 100])
def test_a_fault_raises_within_five_seconds_and_clears_within_thirty(name: str, rate: float) -> None:
    bad, deadline_s = FAULTS[name]
    within_s = 5 if name != "every second one hangs" else 15  # not every call shows it
    for seed in range(5):
        bench = play(during_the_fault(bad), rate, 200, deadline_s=deadline_s, seed=seed)
        assert bench.changes == [True, False], (seed, bench.told)
        (raised_s, _), (cleared_s, _) = bench.told
        assert 0 < raised_s - FAULT_S[0] < within_s, seed
        assert 0 < cleared_s - FAULT_S[1] < 30, seed


@pytest.mark.parametrize("name", FAULTS)
def test_one_call_a_second_is_enough(name: str) -> None:
    bad, deadline_s = FAULTS[name]
    for seed in range(5):
        bench = play(during_the_fault(bad), 1, 220, deadline_s=deadline_s, seed=seed)
        assert bench.changes[:1] == [True], seed
        assert not bench.monitor.degraded, seed
        assert bench.told[-1][0] - FAULT_S[1] < 40, seed


def test_every_third_call_that_fails_is_one_alarm_not_many() -> None:
    flaky = during_the_fault(lambda at_s, rng: -1.0 if rng.uniform(0, 1) < 1 / 3 else well(at_s, rng))
    for seed in range(5):
        bench = play(flaky, 20, 200, seed=seed)
        assert bench.changes == [True, False], seed
        assert bench.told[0][0] < FAULT_S[0] + 20


# ---------------------------------------------------------------- never raised


@pytest.mark.parametrize("rate", [1, 20, 200])
def test_a_tail_is_no_fault(rate: float) -> None:
    for seed in range(21):
        bench = play(well, rate, 10_000 / rate, seed=seed)
        assert bench.told == [], (seed, bench.told)


def test_neither_is_a_tail_that_was_always_there() -> None:
    for seed in range(5):
        bench = play(lambda _, rng: 0.6 if rng.uniform(0, 1) < 0.1 else 0.06, 20, 500, seed=seed)
        assert bench.told == [], seed


@pytest.mark.parametrize("takes_s", [0.5, 60.0])
def test_one_slow_call_is_no_fault(takes_s: float) -> None:
    bench = Bench()
    bench.learn()
    bench.answer(takes_s)
    bench.answer(0.06, 20)
    assert bench.told == []


def test_four_failures_in_a_row_are_none_and_five_are_one() -> None:
    bench = Bench()
    bench.learn()
    bench.fail(4, every_s=0.001)
    bench.answer(0.06)
    bench.fail(4, every_s=0.001)
    assert bench.told == []
    bench.fail(every_s=0.001)
    assert bench.changes == [True]
    assert bench.told[0][1].why == "9 of its last 10 calls failed"


def test_a_pause_of_the_process_is_not_blamed_on_a_quick_backend() -> None:
    bench = Bench()
    bench.answer(0.002, 100)
    bench.answer(0.002 + 0.9 * LATER_AT_LEAST_S, 100)
    assert bench.told == []


def test_a_call_that_had_no_time_says_nothing_about_the_backend() -> None:
    bench = Bench()
    bench.learn()
    for _ in range(50):
        call = bench.monitor.begin()
        bench.now_s += 0.03
        bench.monitor.timed_out(call)
    assert bench.told == []


def test_callers_that_go_away_say_nothing() -> None:
    bench = Bench()
    bench.learn()
    for _ in range(50):
        call = bench.monitor.begin()
        bench.now_s += 0.01
        bench.monitor.given_up(call)
    assert bench.told == []


# ---------------------------------------------------------------- what it says


def test_it_says_why_with_its_own_past_beside_it() -> None:
    bench = Bench()
    bench.learn()
    bench.answer(0.3, 10)
    bench.answer(0.06, 40)
    (_, raised), (_, cleared) = bench.told
    assert raised.why == "6 of its last 10 calls took over 104 ms"
    assert raised.recent_p50_ms == pytest.approx(300)
    assert raised.normal_p50_ms == pytest.approx(60, rel=0.2)
    assert cleared.why.startswith("its calls are well again, after ")
    assert cleared.recent_p50_ms == pytest.approx(60)


# ---------------------------------------------------------------- what it learns


def test_nothing_is_slow_before_there_is_a_normal() -> None:
    bench = Bench()
    bench.answer(0.06, ANSWERS_TO_LEARN - 1)
    bench.answer(5.0, every_s=5)
    assert bench.told == []
    assert not bench.monitor.degraded


def test_a_backend_that_never_answered_fails_all_the_same() -> None:
    bench = Bench()
    bench.fail(5)
    assert bench.changes == [True]
    assert bench.told[0][1].normal_p50_ms is None


def test_a_fault_does_not_become_normal_however_long() -> None:
    bench = Bench()
    bench.answer(0.06, 200)
    bench.answer(0.3, 5 * MEMORY)
    assert bench.changes == [True]
    bench.answer(0.06, 60)
    bench.answer(0.3, 20)
    assert bench.changes == [True, False, True], "it is still slow by the same measure"


def test_what_was_held_in_the_fault_is_not_learned_after_it() -> None:
    """Sixty calls hang in the fault and come back when all has been well again for long."""
    bench = Bench()
    bench.learn()
    held = []
    for _ in range(60):
        held.append(bench.monitor.begin())
        bench.now_s += 0.05
    assert bench.changes == [True]
    bench.answer(0.06, 60)
    assert bench.changes == [True, False]
    for call in held:
        bench.monitor.answered(call)
    bench.answer(0.3, 20)
    assert bench.changes == [True, False, True]


def test_a_backend_that_slows_down_over_hours_moves_its_normal() -> None:
    bench = Bench()
    for step in range(100):
        bench.answer(0.06 * 1.02**step, 200)
    assert bench.told == []


def test_the_baseline_forgets() -> None:
    baseline = Baseline()
    for _ in range(MEMORY):
        baseline.learn(0.4)
    for _ in range(3 * MEMORY):
        baseline.learn(0.05)
    assert baseline.median_s == pytest.approx(0.05, rel=0.1)
    assert baseline.limit_s == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("elapsed_s", [0.0, 1e-9, 0.001, 0.0425, 1.0, 999.0, 1e9])
def test_the_baseline_takes_any_time(elapsed_s: float) -> None:
    baseline = Baseline()
    for _ in range(ANSWERS_TO_LEARN):
        baseline.learn(elapsed_s)
    assert baseline.median_s == pytest.approx(min(max(elapsed_s, 0.001), 1000), rel=0.06)


# ---------------------------------------------------------------- when nothing happens


def test_a_hung_call_is_seen_by_whoever_looks() -> None:
    """No call begins or ends any more, as in `sequential` with a single client."""
    bench = Bench()
    bench.learn()
    for _ in range(12):
        bench.monitor.begin()
    bench.now_s += 10
    assert not bench.monitor.degraded
    for _ in range(3):  # they all became slow at the same moment, which is one moment's worth
        bench.monitor.look()
    bench.answer(0.3, 7)
    assert bench.monitor.degraded


def test_it_stays_raised_while_nobody_may_ask_and_a_probe_is_heard() -> None:
    bench = Bench()
    bench.learn()
    bench.fail(5, every_s=0.05)
    for pause_s in (1, 2, 4, 8, 10, 10, 10):
        bench.now_s += pause_s
        bench.monitor.look()
        assert bench.monitor.degraded
        bench.fail()
    assert bench.changes == [True]
    bench.now_s += 10
    began_s = bench.now_s
    bench.answer(0.06, 40, every_s=0.05)
    assert bench.monitor.degraded, "two seconds are too few to believe it"
    bench.answer(0.06, 400, every_s=0.05)
    assert bench.changes == [True, False]
    assert bench.told[-1][0] - began_s < 15


def test_a_backend_that_nobody_asks_is_not_degraded_for_ever() -> None:
    bench = Bench()
    bench.learn()
    bench.fail(5, every_s=0.05)
    bench.now_s += IDLE_S - 1
    bench.monitor.look()
    assert bench.monitor.degraded
    bench.now_s += 2
    bench.monitor.look()
    assert not bench.monitor.degraded
    assert bench.told[-1][1].why == "nobody has asked it for 300 s, so nothing is known of it"
    bench.answer(0.3, 12)
    assert bench.changes == [True, False, True], "what is normal is still known"


def test_a_call_that_never_returned_is_no_idleness() -> None:
    bench = Bench()
    bench.learn()
    for _ in range(60):
        bench.monitor.begin()
        bench.now_s += 0.05
    bench.now_s += 10 * IDLE_S
    bench.monitor.look()
    assert bench.changes == [True]


# ---------------------------------------------------------------- what it costs


def test_its_memory_is_bounded_by_the_calls_under_way() -> None:
    bench = play(during_the_fault(lambda *_: HUNG), 100, 200, deadline_s=1.0)
    assert not bench.monitor._unjudged
    assert bench.monitor._under_way == 0
    assert len(bench.monitor._recent) <= 10
    size = sum(sys.getsizeof(part) for part in (bench.monitor._unjudged, bench.monitor._baseline._counts))
    assert size < 10_000
