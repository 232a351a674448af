"""How often the decision rule is right and wrong: simulated traffic whose truth is known. Prints a markdown table.

Each model is scaled so that in the long run the wanted share of arrivals is slow; a PASS at p0 and
above is a mistake, a FAIL at p0 and below is one too. 40 arrivals/s, p0 = 1 %, one gate, α = 5 %.

A second table has the gates that decide by other rules: means, throughput, failures against main, and none at all.

    python bench/calibration.py              4,000 repetitions a cell, under a minute
    python bench/calibration.py --quick      400
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.gates.batch_means import decide_mean, moments_of
from harness.gates.reference.baseline_file import FailedShare
from harness.gates.reference.limits import Limits
from harness.gates.shares.none_of import excluded_share
from harness.gates.shares.share_bounds import margin_rules, of_both
from harness.statistics import BATCHES, Counts, Rule, batch_sizes, batch_sums, decide, deflation

RATE_PER_S: Final = 40.0
P0: Final = 0.01
SHARES: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Times p0."""

Slow = NDArray[np.bool_]
Model = Callable[[np.random.Generator, int, float], Slow]
"""(generator, arrivals, long-run share) -> which arrivals were slow, in order."""


def independent(rng: np.random.Generator, n: int, share: float) -> Slow:
    return rng.random(n) < share


def bursts(mean: float) -> Model:
    """Slow spells of geometric length, `mean` arrivals on average, with geometric gaps between them."""

    def draw(rng: np.random.Generator, n: int, share: float) -> Slow:
        gap = mean * (1 - share) / share
        slow = np.zeros(n, np.bool_)
        # started far enough back that the first arrival meets the process in its stride
        at = -int(rng.integers(0, round(10 * (gap + mean))))
        while at < n:
            at += int(rng.geometric(1 / gap)) if gap > 1 else 1
            length = int(rng.geometric(1 / mean))
            slow[max(at, 0) : max(at + length, 0)] = True
            at += length
        return slow

    return draw


def one_stall(rng: np.random.Generator, n: int, share: float) -> Slow:
    """Exactly that share, in one stretch somewhere."""
    slow = np.zeros(n, np.bool_)
    length = round(share * n)
    first = int(rng.integers(0, n - length + 1))
    slow[first : first + length] = True
    return slow


def periodic_pauses(rng: np.random.Generator, n: int, share: float) -> Slow:
    """A pause every five seconds, as of a collector: as long as the share asks for."""
    period = round(5 * RATE_PER_S)
    phase = (np.arange(n) + int(rng.integers(0, period))) % period
    return phase < share * period


def outage(_rng: np.random.Generator, n: int, _share: float) -> Slow:
    return np.ones(n, np.bool_)


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    model: Model
    seconds: int
    clump_s: float = 0.1
    shares: tuple[float, ...] = SHARES


CASES: Final = (
    Case("independent", independent, 30),
    Case("independent", independent, 60),
    Case("independent", independent, 90),
    Case("bursts of 5", bursts(5), 60),
    Case("bursts of 5", bursts(5), 300),
    Case("bursts of 20", bursts(20), 90, clump_s=0.5),
    Case("bursts of 20, clump too short", bursts(20), 90),
    Case("bursts of 100", bursts(100), 300, clump_s=2.5),
    Case("bursts of 100, clump too short", bursts(100), 300),
    Case("one stall", one_stall, 60, shares=(*SHARES, 10.0)),
    Case("a pause every 5 s", periodic_pauses, 60),
    Case("total outage", outage, 30, shares=(100.0,)),
)


def verdict_shares(case: Case, times: float, repetitions: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """PASS, INCONCLUSIVE and FAIL, as fractions of the repetitions."""
    rule = Rule(p0=P0, clump_s=case.clump_s, alpha=0.05, alpha_fail=0.05)
    counted = {"pass": 0, "inconclusive": 0, "fail": 0}
    n = round(case.seconds * RATE_PER_S)
    for _ in range(repetitions):
        counted[decide(Counts.of(case.model(rng, n, min(times * P0, 1.0))), case.seconds, rule).verdict] += 1
    passed, undecided, failed = (count / repetitions for count in counted.values())
    return passed, undecided, failed


def table(repetitions: int, seed: int, cases: Sequence[Case] = CASES) -> str:
    """Markdown: PASS / INCONCLUSIVE / FAIL in percent for each case and share."""
    columns = sorted({times for case in cases for times in case.shares})
    head = ["model", "window", "clump", *(_spell(times) for times in columns)]
    lines = [_row(head), _row(["---"] * len(head))]
    for case in cases:
        rng = np.random.default_rng(seed)
        cells = [
            " / ".join(f"{100 * share:.0f}" for share in verdict_shares(case, times, repetitions, rng))
            if times in case.shares
            else ""
            for times in columns
        ]
        lines.append(_row([case.name, f"{case.seconds} s", f"{case.clump_s:g} s", *cells]))
    return "\n".join(lines)


def _spell(times: float) -> str:
    return {0.25: "¼ p0", 0.5: "½ p0", 1.0: "p0", 100.0: "all slow"}.get(times, f"{times:g} p0")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


# ---------------------------------------------------------------- gates that decide by other rules

OTHERS_FEWER: Final = 8
"""Their windows are longer and drawn arrival by arrival, so they are repeated less often by this factor."""
TRUTHS: Final = ("well within", "at the limit", "well beyond")
Draw = Callable[[np.random.Generator, int], str]
"""(generator, which of TRUTHS) -> the verdict on one simulated phase."""
CLUMP_S: Final = 0.1
ALPHAS: Final = (0.05, 0.05)


def mean_of(model: Model, seconds: int, clump_s: float = CLUMP_S) -> Draw:
    """`mean < 1`: one arrival in 20 takes eleven times as long as the others, each with its own noise."""

    def draw(rng: np.random.Generator, truth: int) -> str:
        n = round(seconds * RATE_PER_S)
        slow = model(rng, n, 0.05)
        own = rng.lognormal(-0.125, 0.5, n)  # of mean 1
        latency = own * np.where(slow, 11.0, 1.0) * (0.8, 1.0, 1.25)[truth] / 1.5
        sums, sizes = batch_sums(np.round(latency * 1e6)) / 1e6, batch_sizes(n)
        moments = moments_of(n, seconds, clump_s)
        return decide_mean(sums, sizes, moments=moments, limit=Limits.exactly(1.0), below=True, alphas=ALPHAS)[0]

    return draw


def throughput_of(model: Model, seconds: int) -> Draw:
    """`throughput > 38/s` of arrivals by Poisson at 40/s, of which some fail."""

    def draw(rng: np.random.Generator, truth: int) -> str:
        planned = rng.poisson(RATE_PER_S * seconds)
        failed = model(rng, planned, (0.01, 0.05, 0.12)[truth])
        at = np.sort(rng.random(planned)) * seconds
        edges = np.linspace(0, seconds, BATCHES + 1)
        successes, _ = np.histogram(at[~failed], bins=edges)
        moments, limit = moments_of(planned, seconds, CLUMP_S), Limits.exactly(38.0)
        sums, sizes = successes.astype(np.float64), np.diff(edges)
        return decide_mean(sums, sizes, moments=moments, limit=limit, below=False, alphas=ALPHAS)[0]

    return draw


def against_main(model: Model, seconds: int) -> Draw:
    """`errors < main + 0.5%` where 0.3 % fail on main."""

    def draw(rng: np.random.Generator, truth: int) -> str:
        n = round(seconds * RATE_PER_S)
        head = Counts.of(model(rng, n, 0.003 + (0.0, 0.005, 0.02)[truth]))
        base = Counts.of(model(rng, n, 0.003))
        main = FailedShare(
            metric="errors",
            request=None,
            phase="whole",
            n=base.n,
            exceeded=base.k,
            deflation=deflation(base, seconds=seconds, clump_s=CLUMP_S),
            seconds=seconds,
        )
        failing, passing = (decide(head, seconds, rule) for rule in margin_rules(main, 0.005, ALPHAS, CLUMP_S))
        return of_both(failing, passing).verdict

    return draw


def none_at_all(model: Model, seconds: int) -> Draw:
    """`errors = 0`: at the limit is the share that a PASS says it excludes."""

    def draw(rng: np.random.Generator, truth: int) -> str:
        n = round(seconds * RATE_PER_S)
        excluded = excluded_share(n, seconds, CLUMP_S * 1000, 0.95)
        return "fail" if model(rng, n, excluded * (0.01, 1.0, 4.0)[truth]).any() else "pass"

    return draw


OTHERS: Final[tuple[tuple[str, str, int, Draw], ...]] = (
    ("`mean < T`", "independent", 60, mean_of(independent, 60)),
    ("`mean < T`", "bursts of 5", 60, mean_of(bursts(5), 60)),
    ("`mean < T`", "bursts of 5", 300, mean_of(bursts(5), 300)),
    ("`mean < T`", "bursts of 20", 300, mean_of(bursts(20), 300)),
    ("`mean < T`", "bursts of 100, clump 2.5 s", 1_500, mean_of(bursts(100), 1_500, clump_s=2.5)),
    ("`throughput > R`", "independent", 60, throughput_of(independent, 60)),
    ("`throughput > R`", "bursts of 20", 300, throughput_of(bursts(20), 300)),
    ("`errors < main + 0.5%`", "independent", 300, against_main(independent, 300)),
    ("`errors < main + 0.5%`", "bursts of 5", 900, against_main(bursts(5), 900)),
    ("`errors = 0`", "independent", 60, none_at_all(independent, 60)),
    ("`errors = 0`", "bursts of 5", 60, none_at_all(bursts(5), 60)),
)
"""Gate, model, seconds, simulation."""


def other_shares(draw: Draw, truth: int, repetitions: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """PASS, INCONCLUSIVE and FAIL, as fractions of the repetitions."""
    verdicts = [draw(rng, truth) for _ in range(repetitions)]
    passed, undecided, failed = (verdicts.count(word) / repetitions for word in ("pass", "inconclusive", "fail"))
    return passed, undecided, failed


def other_table(repetitions: int, seed: int) -> str:
    """Markdown: PASS / INCONCLUSIVE / FAIL in percent for each gate of OTHERS and each of TRUTHS."""
    head = ["gate", "model", "window", *TRUTHS]
    lines = [_row(head), _row(["---"] * len(head))]
    for gate, model, seconds, draw in OTHERS:
        rng = np.random.default_rng(seed)
        cells = [
            " / ".join(f"{100 * share:.0f}" for share in other_shares(draw, truth, repetitions, rng))
            for truth in range(len(TRUTHS))
        ]
        lines.append(_row([gate, model, f"{seconds:,} s", *cells]))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="400 repetitions a cell instead of 4,000")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    repetitions = 400 if arguments.quick else 4_000
    print(f"PASS / INCONCLUSIVE / FAIL in %, {repetitions:,} repetitions a cell, seed {arguments.seed}\n")
    print(table(repetitions, arguments.seed))
    others = repetitions // OTHERS_FEWER
    print(f"\nThe same of gates that decide by other rules, {others:,} repetitions a cell\n")
    print(other_table(others, arguments.seed))


if __name__ == "__main__":
    main()
