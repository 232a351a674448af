"""How often a capacity search is right, by the length of its loads: the search itself, against simulated queues.

    python -m bench.capacity_odds               # 1,000 searches for each row
    python -m bench.capacity_odds --searches 100
    python -m bench.capacity_odds --drawn       # each of a service of its own, drawn at random

The services are those of `bench.capacity_truth`, picked or drawn, as queues of fixed times with Poisson arrivals. Each
load begins with an empty queue, and is judged as a real one: explorative loads by their point estimate, certificates by
the decision of a gate on p99, both by whether the load was stationary. Nothing of a machine is in it, so what is wrong
here is wrong since the load was too short: near its limit a queue needs many times the limit to show what it is like.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.capacity_truth import LENGTHS, SERVICES, WITHIN, drawn, first_per_s
from bench.limited_queue import OVERHEAD_MS, SHARE, Limited, done_ms
from harness.search.level_search import LevelScale, Outcome, WantedLoad, search_levels
from harness.search.stationary import not_stationary
from harness.statistics import Counts, Rule, decide
from harness.units import NS_PER_MS

SEARCHES: Final = 1_000
ALPHA: Final = 0.05
ANSWERS: Final = ("right", "carries too much", "fails too low", "one answer is missing")


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of the loads of a search, in ms; `clump_ms` and `within` as of the scenario and the command."""

    settle_ms: float
    explore_ms: float
    soak_ms: float
    refute_ms: float
    within: float = WITHIN
    clump_ms: float = 10.0

    def judged_ms(self, load: WantedLoad) -> float:
        return {"explore": self.explore_ms, "soak": self.soak_ms, "refute": self.refute_ms}[load.purpose]


SHORT: Final = Lengths(1_500, 6_000, 12_000, 12_000)
TRUTH: Final = Lengths(**LENGTHS)
HALF: Final = Lengths(5_000, 12_000, 60_000, 30_000)
USUAL: Final = Lengths(5_000, 12_000, 120_000, 60_000, within=0.1, clump_ms=100.0)


def loaded(limited: Limited, load: WantedLoad, lengths: Lengths, rng: np.random.Generator) -> Outcome:
    """How a load of the simulated service ends."""
    judged_ms = lengths.judged_ms(load)
    end_ms = lengths.settle_ms + judged_ms
    arrived_ms = np.sort(rng.uniform(0, end_ms, rng.poisson(load.rate_per_s * end_ms / 1000)))
    ended_ms = done_ms(arrived_ms, limited.workers, limited.work_ms) + OVERHEAD_MS
    arrived_ns, ended_ns = ((times * NS_PER_MS).astype(np.int64) for times in (arrived_ms, ended_ms))
    begin_ns, end_ns = round(lengths.settle_ms * NS_PER_MS), round(end_ms * NS_PER_MS)
    queue = not_stationary(arrived_ns, ended_ns, begin_ns, end_ns, unfinished=0)
    slow = (ended_ms - arrived_ms >= limited.limit_ms)[arrived_ms >= lengths.settle_ms]
    outcome = _by_gate(slow, judged_ms / 1000, load, lengths)
    if queue is None or (outcome == "broke" and not queue.is_sure):
        return outcome
    return "broke" if queue.is_sure or load.pooled else "undecided"


def _by_gate(slow: NDArray[np.bool_], seconds: float, load: WantedLoad, lengths: Lengths) -> Outcome:
    if load.alpha is None:
        return "broke" if len(slow) and slow.mean() >= SHARE else "held"
    rule = Rule(p0=SHARE, clump_s=lengths.clump_ms / 1000, alpha=load.alpha, alpha_fail=load.alpha)
    verdict = decide(Counts.of(slow), seconds, rule).verdict
    ends: dict[str, Outcome] = {"pass": "held", "fail": "broke", "inconclusive": "undecided"}
    return ends[verdict]


def answer(limited: Limited, number: int, lengths: Lengths, rng: np.random.Generator) -> str:
    """One of ANSWERS."""
    truth_per_s = limited.truth_per_s()
    search = search_levels(
        LevelScale.of_rates(first_per_s(truth_per_s, number), None), within=lengths.within, alpha=ALPHA
    )
    load = next(search)
    while True:
        try:
            load = search.send(loaded(limited, load, lengths, rng))
        except StopIteration as stop:
            low, high = stop.value.certified, stop.value.refuted
            break
    if low is not None and low > truth_per_s:
        return "carries too much"
    if high is not None and high < truth_per_s:
        return "fails too low"
    return "right" if low is not None and high is not None else "one answer is missing"


def odds(lengths: Lengths, services: Sequence[Limited]) -> Counter[str]:
    """How many searches, one of each service, end in each of ANSWERS."""
    rng = np.random.default_rng(7)
    return Counter(answer(service, number, lengths, rng) for number, service in enumerate(services))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=SEARCHES)
    parser.add_argument("--drawn", action="store_true", help="draw the service of each search at random")
    options = parser.parse_args()
    searches = options.searches
    services = [drawn(number) if options.drawn else SERVICES[number % len(SERVICES)] for number in range(searches)]
    print(f"| explore | soak | step | {' | '.join(ANSWERS)} |")
    print("|" + "---|" * (3 + len(ANSWERS)))
    for lengths in (SHORT, TRUTH, HALF, USUAL):
        found = odds(lengths, services)
        seconds = " | ".join(f"{ms / 1000:g} s" for ms in (lengths.explore_ms, lengths.soak_ms, lengths.refute_ms))
        print(f"| {seconds} | {' | '.join(f'{100 * found[each] / searches:.1f} %' for each in ANSWERS)} |", flush=True)


if __name__ == "__main__":
    main()
