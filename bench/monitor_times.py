"""How soon the aggregator's monitor of a backend raises and clears, how often it raises for nothing, what a call costs.

    python bench/monitor_times.py [RUNS] [--short]

Simulated on a clock of its own, as in tests/aggregator/test_monitor.py: Poisson arrivals, p50 60 ms, p99 140 ms, a
fault from 100 to 160 s, no breaker. The middle one of so many runs (40), the longest in brackets. Half a minute.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from aggregator.monitoring.monitor import Monitor
from bench.command_line import read_options
from tests.aggregator.test_monitor import FAULT_S, HUNG, Takes, during_the_fault, play, well

CASES: Final[tuple[tuple[str, Takes, float, float], ...]] = (
    ("hangs, deadline 1 s", lambda *_: HUNG, 1.0, 20),
    ("hangs, no deadline", lambda *_: HUNG, HUNG, 20),
    ("60 ms becomes 300 ms", lambda *_: 0.3, 1.0, 20),
    ("fails at once", lambda *_: -1.0, 1.0, 20),
    ("every third call fails", lambda at_s, rng: -1.0 if rng.uniform(0, 1) < 1 / 3 else well(at_s, rng), 1.0, 20),
    ("hangs, deadline 1 s", lambda *_: HUNG, 1.0, 5),
    ("hangs, deadline 1 s", lambda *_: HUNG, 1.0, 1),
)
"""What happens, for how long it takes, the deadline in seconds, calls a second."""
UNTIL_S: Final = 260.0
WELL_RATES: Final = (0.2, 1.0, 5.0, 20.0, 100.0, 500.0)
"""Calls a second of a backend that is well."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated, beside the runs that are asked for."""

    well_calls: int = 10_000
    well_seeds: int = 21
    flaky_hours: int = 20
    calls: int = 200_000


SHORT: Final = Size(well_calls=1_000, well_seeds=2, flaky_hours=1, calls=10_000)


def times(takes: Takes, rate: float, deadline_s: float, runs: int) -> tuple[list[float], list[float]]:
    """Seconds from the fault's begin until it was raised, and from its end until it was cleared."""
    raised, cleared = [], []
    for seed in range(runs):
        bench = play(during_the_fault(takes), rate, UNTIL_S, deadline_s=deadline_s, seed=seed)
        raised.append(next(at_s for at_s, change in bench.told if change.degraded) - FAULT_S[0])
        cleared.append(next(at_s for at_s, change in reversed(bench.told) if not change.degraded) - FAULT_S[1])
    return raised, cleared


def alarms_when_well(calls: int, seeds: int) -> int:
    return sum(len(play(well, rate, calls / rate, seed=seed).told) for seed in range(seeds) for rate in WELL_RATES)


def alarms_an_hour_of_every_tenth(flaky_hours: int) -> float:
    def flaky(at_s: float, rng: Random) -> float:
        return -1.0 if rng.uniform(0, 1) < 0.1 else well(at_s, rng)

    hours = (play(flaky, 20, 3600, seed=seed) for seed in range(flaky_hours))
    return sum(sum(bench.changes) for bench in hours) / flaky_hours


def cost_us(calls: int) -> float:
    """Of one call that is begun and answered, on the processor's clock."""
    now_s = 0.0

    def clock() -> float:
        nonlocal now_s
        now_s += 0.001
        return now_s

    monitor = Monitor(lambda _: None, clock)
    start = time.process_time()
    for _ in range(calls):
        monitor.answered(monitor.begin())
    return (time.process_time() - start) / calls * 1e6


def main() -> None:
    options = read_options(__doc__, rounds=40)
    size = SHORT if options.short else Size()
    print("| | raised after (s) | cleared after (s) |\n|---|---:|---:|")
    for name, takes, deadline_s, rate in CASES:
        found = times(takes, rate, deadline_s, options.rounds)
        told = [f"{statistics.median(each):.1f} ({max(each):.1f})" for each in found]
        print(f"| {name}, {rate:g}/s | {' | '.join(told)} |")
    told_of = f"well, {size.well_calls:,} calls, {WELL_RATES[0]:g} to {WELL_RATES[-1]:g}/s, {size.well_seeds} seeds"
    print(f"| {told_of} | {alarms_when_well(size.well_calls, size.well_seeds) or 'never'} | |")
    alarms = alarms_an_hour_of_every_tenth(size.flaky_hours)
    print(f"\nevery tenth call fails, 20/s: raised {alarms:.1f} times an hour")
    print(f"a call costs {cost_us(size.calls):.1f} µs")


if __name__ == "__main__":
    main()
