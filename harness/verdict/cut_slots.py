"""Dropped arrivals of a run whose slots the open-file limit had cut: nobody knows how the service would have answered.

A PASS stands where it holds with all of them slow, a FAIL where it holds with all of them well; what rests on neither
is the rig's. Where slots were not cut, a dropped arrival counts against the service.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harness.evidence import Evidence, Pool
from harness.gates import Gate
from harness.rundir.rows import Outcome
from harness.units import format_count, format_things
from harness.verdict.validity import RunCheck

Judge = Callable[[Pool], str]
"""A gate's verdict on a pool."""


def has_cut_drops(pool: Pool) -> bool:
    return any(run.plan.load.slots_cut and (run.samples["outcome"] == Outcome.DROPPED).any() for run in pool.runs)


def assume_ok(run: Evidence, *, in_baseline: bool = True, elsewhere: bool = True) -> Evidence:
    """The same run as if its dropped arrivals had been answered at once and whole, where it says so."""
    dropped = run.samples["outcome"] == Outcome.DROPPED
    baseline = np.zeros(len(dropped), np.bool_)
    baseline[run.window("baseline", every_part=True).index] = True
    chosen = dropped & np.where(baseline, in_baseline, elsewhere)
    samples = run.samples.copy()
    samples["outcome"][chosen], samples["status"][chosen] = Outcome.OK, 200
    samples["done_ns"][chosen] = samples["intended_ns"][chosen]
    samples["answered"][chosen] = ~np.uint64(0)
    return replace(run, samples=samples)


def rests_on_drops(gate: Gate, pool: Pool, found: str, judge: Judge) -> bool:
    """Whether the verdict `found` (pass, fail, inconclusive) could be another one if the dropped had been sent."""
    if found == "inconclusive":
        return False
    compares = gate.phase != "baseline" and "baseline" in gate.phases()
    if found == "fail":  # the best case: all well, but a baseline to compare with as bad as it can be
        best = Pool(tuple(assume_ok(run, in_baseline=not compares) for run in pool.runs))
        return judge(best) != "fail"
    worst = Pool(tuple(assume_ok(run, in_baseline=compares, elsewhere=False) for run in pool.runs))
    # a ratio such as calls per arrival looks better for arrivals that were never sent
    return judge(worst) != "pass" or judge(Pool(tuple(_without_drops(run) for run in pool.runs))) != "pass"


def _without_drops(run: Evidence) -> Evidence:
    return replace(run, samples=run.samples[run.samples["outcome"] != Outcome.DROPPED])


def drops_finding(run: Evidence, gate: str) -> RunCheck:
    """The failed check of a run on whose dropped arrivals the gate's verdict rests."""
    count = int(np.count_nonzero(run.samples["outcome"] == Outcome.DROPPED))
    return RunCheck(
        "counts",
        False,
        f"{format_things(count, 'arrival')} found none of the {format_count(run.plan.load.max_in_flight)} slots that "
        f"the open-file limit allows, and whether `{gate}` holds depends on what would have become of them",
        "raise the hard limit of open files (ulimit -Hn, as root), or lower the rate or `load.timeout`",
    )
