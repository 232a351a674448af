"""Whether `tailgate capacity` finds what a service really carries: searches of services whose limit is known.

    python -m bench.capacity_truth            # 80 searches, three at once, in under an hour
    python -m bench.capacity_truth --only pool --searches 3

The truth of a queue is not its workers divided by their time: a p99 fails earlier. It is the rate at which a seeded
simulation of the same queue (Poisson arrivals, first come first served, fixed times) puts exactly the share that the
gate allows at or above its limit. At most one bracket in ten may lack it; a limiter may be named only by its witness.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from harness.rundir.searches.capacity import CapacityResults

SERVICE: Final = Path(__file__).with_name("limited_service.py")
ARRIVALS: Final = 200_000
SEARCHES: Final = 80
AT_ONCE: Final = 3
WITHOUT_TRUTH_MOST: Final = 0.1
OVERHEAD_MS: Final = 4.0
"""What gateway, sockets and the load generator add to a request; the truth is taken for limits of this much less."""


@dataclass(frozen=True, slots=True)
class Limited:
    """A service and its gate: p99 below `limit_ms`. `limiter`: the kinds that may be named; None: nothing else."""

    kind: str
    workers: int
    work_ms: float
    limit_ms: float
    limiters: tuple[str, ...] = ("not_known",)

    @property
    def argv(self) -> list[str]:
        figures = [f"{self.work_ms:g}"] if self.kind == "cpu" else [str(self.workers), f"{self.work_ms:g}"]
        return [sys.executable, str(SERVICE), "{port}", self.kind, *figures]

    def truth_per_s(self) -> float:
        """The rate at which 1 % of the requests of the simulated queue take the limit or longer."""
        low, high = 0.0, self.workers * 1000 / self.work_ms
        for _ in range(20):
            middle = (low + high) / 2
            slow = exceeding(middle, self.workers, self.work_ms, self.limit_ms - OVERHEAD_MS)
            low, high = (middle, high) if slow < 0.01 else (low, middle)
        return (low + high) / 2


SERVICES: Final = (
    Limited("pool", 4, 50, 150),
    Limited("pool", 8, 100, 250),
    Limited("pool", 2, 20, 100),
    Limited("pool", 16, 150, 400),
    Limited("cpu", 1, 8, 100, ("one_thread", "cpu")),
    Limited("cpu", 1, 15, 200, ("one_thread", "cpu")),
    Limited("collapse", 4, 50, 250),
    Limited("collapse", 8, 80, 350),
)


def exceeding(rate_per_s: float, workers: int, work_ms: float, limit_ms: float, seed: int = 1) -> float:
    """The share of requests that take `limit_ms` or longer in a queue of `workers` that each take `work_ms`."""
    arrived_ms = np.cumsum(np.random.default_rng(seed).exponential(1000 / max(rate_per_s, 1e-9), ARRIVALS))
    free = [0.0] * workers
    slow = 0
    for at in arrived_ms.tolist():
        done = max(at, heapq.heappop(free)) + work_ms
        heapq.heappush(free, done)
        slow += done - at >= limit_ms
    return slow / ARRIVALS


@dataclass(frozen=True, slots=True)
class Found:
    """What a search said of a service, beside the truth."""

    limited: Limited
    truth_per_s: float
    certified_per_s: float | None
    refuted_per_s: float | None
    limiter: str
    findings: tuple[str, ...]

    @property
    def holds_truth(self) -> bool:
        low, high = self.certified_per_s, self.refuted_per_s
        return low is not None and high is not None and low <= self.truth_per_s <= high

    @property
    def limiter_is_right(self) -> bool:
        return self.limiter in ("not_known", *self.limited.limiters)

    def __str__(self) -> str:
        service = self.limited
        bracket = f"{self.certified_per_s or 0:g} to {self.refuted_per_s or 0:g}/s"
        told = "" if self.holds_truth else "  WITHOUT THE TRUTH"
        wrong = "" if self.limiter_is_right else "  WRONG LIMITER"
        name = f"{service.kind} {service.workers} x {service.work_ms:g} ms, p99 < {service.limit_ms:g} ms"
        return f"{name:<40} truth {self.truth_per_s:7.1f}/s  found {bracket:<18} {self.limiter}{told}{wrong}"


def search(limited: Limited, seed: int, folder: Path, *, within: str = "15%") -> Found:
    """One search by the command itself, with loads of six seconds."""
    truth = limited.truth_per_s()
    scenario = folder / "scenario.yaml"
    command = json.dumps(limited.argv)
    scenario.write_text(
        f"""\
name: limited
service: {{command: {command}, ready: GET /healthz within 20s}}
gateway: {{timeout: 5s}}
load: {{request: GET /, rate: {truth / 2.5:.3g}/s}}
gates: [p99 < {limited.limit_ms:g}ms]
verdict: {{clump: 10ms}}
""",
        encoding="utf-8",
    )
    (curve,) = _capacity(scenario, folder, seed, within).curves
    return Found(limited, truth, curve.certified_per_s, curve.refuted_per_s, curve.limiter.kind, tuple(curve.findings))


def _capacity(scenario: Path, folder: Path, seed: int, within: str) -> CapacityResults:
    from harness.run.progress import NullDisplay
    from harness.run.run import Options, Session
    from harness.run.signals import Stopper
    from harness.scenario import load_scenario
    from harness.scenario.planner import cells
    from harness.search.capacity import Settings
    from harness.search.capacity_run import Asked, search_capacity
    from harness.units import parse_share

    loaded = load_scenario(scenario)
    settings = Settings(
        first_per_s=loaded.scenario.load.rate_per_s or 1.0,
        to_per_s=None,
        within=parse_share(within),
        refute_ms=12_000,
        soak_ms=12_000,
        alpha=0.05,
        settle_ms=1_500,
        explore_ms=6_000,
        return_ms=2_000,
    )
    session = Session(Options(out=folder / "runs", seed=seed), NullDisplay(), Stopper())
    _, results = search_capacity(session, cells(loaded)[0], settings, Asked((), None, None, 0.1))
    return results


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tailgate-truth-") as folder:
        yield Path(folder)


def _search(number: int, services: tuple[Limited, ...]) -> Found:
    with _folder() as folder:
        return search(services[number % len(services)], number, folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=SEARCHES)
    parser.add_argument("--only", help="services of this kind only")
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    options = parser.parse_args()
    services = tuple(each for each in SERVICES if options.only in (None, each.kind))
    found: list[Found] = []
    with ThreadPoolExecutor(options.at_once) as pool:
        for one in pool.map(lambda number: _search(number, services), range(options.searches)):
            found.append(one)
            print(one, flush=True)
    without = sum(not one.holds_truth for one in found)
    wrong = sum(not one.limiter_is_right for one in found)
    print(f"{len(found)} searches, {without} brackets without the truth, {wrong} wrong limiters")
    return int(without > WITHOUT_TRUTH_MOST * len(found) or wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
