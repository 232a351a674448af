"""Whether `tailgate capacity` finds what a service really carries: searches of services whose limit is known.

    python -m bench.capacity_truth                              # 80 searches in under an hour
    python -m bench.capacity_truth --only pool --searches 3
    python -m bench.capacity_truth --out found.ndjson --minutes 20
    python -m bench.capacity_truth --resume found.ndjson        # goes on where that one ended
    python -m bench.capacity_truth --drawn --searches 40        # each of a service of its own, drawn at random

The truth of a queue is not its workers divided by their time: a p99 fails earlier. It is the rate at which a seeded
simulation of the same queue (Poisson arrivals, first come first served, fixed times) puts exactly the share that the
gate allows at or above its limit. At most one bracket in ten may lack it; a limiter may be named only by its witness.

Services that sleep are searched several at once, those that compute one by one when the others are done. Each search is
printed, and written as a line of JSON, as soon as it is over.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from bench.limited_queue import Limited
from harness.errors import TailgateError
from harness.model.frozen import Frozen
from harness.run.progress import NullDisplay
from harness.run.run import Options, Session
from harness.run.signals import Stopper
from harness.rundir.searches.capacity import CapacityResults, LoadStep
from harness.scenario import load_scenario
from harness.scenario.planner import cells
from harness.search.capacity import Settings
from harness.search.capacity_run import Asked, search_capacity

SEARCHES: Final = 80
AT_ONCE: Final = 7
MINUTES: Final = 60.0
WITHOUT_TRUTH_MOST: Final = 0.1
WITHIN: Final = 0.2
LENGTHS: Final = {"settle_ms": 3_000.0, "explore_ms": 6_000.0, "soak_ms": 45_000.0, "refute_ms": 15_000.0}
"""Of the loads. Shorter ones are wrong too often, whatever carries them out: see `bench.capacity_odds`."""
RETURN_MS: Final = 2_000.0
INTERRUPTED: Final = "interrupted"
FIRST: Final = (0.3, 0.6)
"""The first rate, as a share of the truth: another one for each search, since the rates that are tried follow from it.
"""

SERVICES: Final = (
    Limited("pool", 4, 50, 150),
    Limited("threads", 32, 200, 300, ("threads", "upstream_calls")),
    Limited("collapse", 4, 40, 100),
    Limited("pool", 16, 100, 200),
    Limited("threads", 12, 120, 250, ("threads", "upstream_calls")),
    Limited("collapse", 8, 80, 150),
    Limited("pool", 8, 60, 150),
    Limited("cpu", 1, 10, 100, ("one_thread", "cpu")),
    Limited("pool", 24, 200, 400),
    Limited("threads", 24, 160, 300, ("threads", "upstream_calls")),
)
DRAWN_PER_S: Final = (40.0, 250.0)
"""What the workers of a drawn service can do: enough for certificates of 45 s, seven of them at once for two cores.
"""


def drawn(number: int, kinds: Sequence[Limited] = SERVICES) -> Limited:
    """The service of search `number` where none is picked: of the kind of one of these, everything else at random."""
    kind, chance = kinds[number % len(kinds)], random.Random(number)
    while True:
        limit_ms = float(10 * chance.randint(10, 40))
        work_ms = float(chance.randint(5, 15) if kind.computes else 5 * chance.randint(4, 60))
        workers = 1 if kind.computes else chance.randint(2, 40)
        if work_ms * 1.25 <= limit_ms and DRAWN_PER_S[0] <= workers * 1000 / work_ms <= DRAWN_PER_S[1]:
            return Limited(kind.kind, workers, work_ms, limit_ms, kind.limiters)


class Found(Frozen):
    """What search `number` said of a service, beside the truth. `loads`: purpose, rate, outcome and p99 (ms) of each.
    `around_s`: what a load took beyond its settling and its length, the median without those that start a stack.
    `failed`: why there is no answer; empty if there is one."""

    number: int
    service: str
    kind: str
    truth_per_s: float
    timed_ms: float
    certified_per_s: float | None = None
    refuted_per_s: float | None = None
    limiter: str = "not_known"
    limiter_is_right: bool = True
    findings: tuple[str, ...] = ()
    loads: tuple[tuple[str, float, str, float | None], ...] = ()
    seconds: float = 0.0
    around_s: float | None = None
    failed: str = ""

    @property
    def holds_truth(self) -> bool:
        low, high = self.certified_per_s, self.refuted_per_s
        return low is not None and high is not None and low <= self.truth_per_s <= high

    def __str__(self) -> str:
        bracket = f"{self.certified_per_s or 0:g} to {self.refuted_per_s or 0:g}/s"
        told = "" if self.holds_truth else f"  WITHOUT THE TRUTH {self.failed}".rstrip()
        wrong = "" if self.limiter_is_right else "  WRONG LIMITER"
        return f"{self.service:<40} truth {self.truth_per_s:7.1f}/s  found {bracket:<18} {self.limiter}{told}{wrong}"


def _around_s(steps: Sequence[LoadStep]) -> float | None:
    """The first load, and the first after a collapse, start a stack too; they are few, so the median passes them."""
    around = [step.wall_s - step.seconds - LENGTHS["settle_ms"] / 1000 for step in steps if step.wall_s is not None]
    return round(statistics.median(around), 3) if around else None


class _Notes(NullDisplay):
    """Keeps the last note, which is the reason of a rig failure."""

    last = ""

    def note(self, text: str) -> None:
        self.last = text


@functools.cache
def truth_of(limited: Limited) -> tuple[float, float]:
    """The rate that it carries, and how long its idle service takes in ms."""
    timed_ms = limited.timed_ms()
    return limited.truth_per_s(timed_ms), timed_ms


def first_per_s(truth_per_s: float, number: int) -> float:
    """The first rate of search `number`."""
    return random.Random(number).uniform(*FIRST) * truth_per_s


def search(limited: Limited, number: int, stopper: Stopper) -> Found:
    """One search by the command's own code, with explorative loads of six seconds."""
    truth_per_s, timed_ms = truth_of(limited)
    found = Found(number=number, service=limited.name, kind=limited.kind, truth_per_s=truth_per_s, timed_ms=timed_ms)
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tailgate-truth-") as name:
        folder = Path(name)
        (folder / "scenario.yaml").write_text(limited.scenario(first_per_s(truth_per_s, number)), encoding="utf-8")
        notes = _Notes()
        try:
            results = _capacity(folder, Session(Options(out=folder / "runs", seed=number), notes, stopper))
        except TailgateError as exc:
            return found.model_copy(update={"failed": exc.message})
    (curve,) = results.curves
    failed = notes.last if curve.ended_by == "rig" else ""
    return found.model_copy(
        update={
            "certified_per_s": curve.certified_per_s,
            "refuted_per_s": curve.refuted_per_s,
            "limiter": curve.limiter.kind,
            "limiter_is_right": curve.limiter.kind in ("not_known", *limited.limiters),
            "findings": tuple(curve.findings),
            "loads": tuple((step.purpose, step.rate_per_s, step.outcome, step.p99_ms) for step in curve.steps),
            "seconds": round(time.monotonic() - begun_s, 1),
            "around_s": _around_s(curve.steps),
            "failed": INTERRUPTED if results.interrupted else failed,
        }
    )


def _capacity(folder: Path, session: Session) -> CapacityResults:
    loaded = load_scenario(folder / "scenario.yaml")
    settings = Settings(
        first_per_s=loaded.scenario.load.rate_per_s or 1.0,
        to_per_s=None,
        within=WITHIN,
        alpha=0.05,
        return_ms=RETURN_MS,
        **LENGTHS,
    )
    _, results = search_capacity(session, cells(loaded)[0], settings, Asked((), None, None, 0.1))
    return results


def searches(wanted: dict[int, Limited], at_once: int, end_s: float, stopper: Stopper) -> Iterator[Found]:
    """Each as soon as it is over: those that sleep first, `at_once` of them, then those that compute, one by one. None
    begins after `end_s` (of the monotonic clock), or after a signal."""

    def begun(number: int) -> Found | None:
        if time.monotonic() > end_s or stopper.asked:
            return None
        found = search(wanted[number], number, stopper)
        return None if found.failed == INTERRUPTED else found

    asleep = [number for number, limited in wanted.items() if not limited.computes]
    for limited in {wanted[number] for number in asleep}:
        truth_of(limited)  # timed before anything runs beside it
    with ThreadPoolExecutor(at_once) as pool:
        for future in as_completed([pool.submit(begun, number) for number in asleep]):
            if (found := future.result()) is not None:
                yield found
    for number in wanted.keys() - asleep:
        if (found := begun(number)) is not None:
            yield found


def known(path: Path) -> list[Found]:
    """The searches that a file holds; none if there is no such file."""
    if not path.exists():
        return []
    return [Found.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


def summary(found: Iterable[Found], *, by_kind: bool = False) -> tuple[str, bool]:
    """A table with a row for each service or each kind, a line for all, and whether that is good enough."""
    every = list(found)
    groups: dict[str, list[Found]] = {}
    for one in every:
        groups.setdefault(one.kind if by_kind else one.service, []).append(one)
    lines = [
        "| service | truth | searches | without it | carries | fails at | limiters named |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    lines += [_row(name, groups[name]) for name in sorted(groups)]
    around = [one.around_s for one in every if one.around_s is not None]
    if around:
        lines.append(f"a load took {statistics.median(around):.2f} s beyond itself")
    without = sum(not one.holds_truth for one in every)
    wrong = sum(not one.limiter_is_right for one in every)
    lines.append(f"{len(every)} searches, {without} brackets without the truth, {wrong} wrong limiters")
    return "\n".join(lines), without <= WITHOUT_TRUTH_MOST * len(every) and not wrong


def _row(name: str, of_one: Sequence[Found]) -> str:
    """What the searches of one service, or of one kind, found; the rates are medians."""

    def median(rates: Iterable[float | None]) -> str:
        known = [rate for rate in rates if rate is not None]
        return f"{statistics.median(known):.3g}/s" if known else "-"

    named = Counter(one.limiter for one in of_one if one.limiter != "not_known")
    cells = (
        name,
        median(one.truth_per_s for one in of_one),
        str(len(of_one)),
        str(sum(not one.holds_truth for one in of_one)),
        median(one.certified_per_s for one in of_one),
        median(one.refuted_per_s for one in of_one),
        ", ".join(f"{kind} {count}" for kind, count in named.most_common()) or "none",
    )
    return f"| {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=SEARCHES)
    parser.add_argument("--only", action="append", help="services of this kind only; may be given again")
    parser.add_argument("--drawn", action="store_true", help="draw the service of each search at random")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="searches of services that sleep")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="no search begins after that")
    parser.add_argument("--out", type=Path, help="a line of JSON for each search; default: nothing is written")
    parser.add_argument("--resume", type=Path, help="go on with this file of --out")
    options = parser.parse_args()
    services = [each for each in SERVICES if not options.only or each.kind in options.only]
    if not services:
        parser.error(f"--only is one of {', '.join(dict.fromkeys(each.kind for each in SERVICES))}")
    file = options.resume or options.out
    found = known(options.resume) if options.resume else []
    done = {one.number for one in found}
    left = [number for number in range(options.searches) if number not in done]
    wanted = {number: drawn(number, services) if options.drawn else services[number % len(services)] for number in left}
    with Stopper() as stopper:
        for one in searches(wanted, options.at_once, time.monotonic() + 60 * options.minutes, stopper):
            found.append(one)
            print(one, flush=True)
            if file:
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(one.model_dump(mode="json")) + "\n")
    told, good = summary(found, by_kind=options.drawn)
    print(told)
    if len(found) < options.searches:
        print(f"{options.searches - len(found)} searches have not been run")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
