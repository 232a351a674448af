"""Arrivals that were dropped because the open-file limit allowed fewer slots than the run needed.

How the service would have answered them is unknown. So a PASS stands only if it holds with all of them slow, and a
FAIL only if it holds with all of them answered at once; any other verdict makes the run a rig failure. In a run with
enough slots a dropped arrival counts against the service.
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
    """Whether any run dropped arrivals and had its slots cut by the open-file limit."""
    return any(run.plan.load.slots_cut and (run.samples["outcome"] == Outcome.DROPPED).any() for run in pool.runs)


def assume_ok(run: Evidence, *, in_baseline: bool = True, elsewhere: bool = True) -> Evidence:
    """The same run as if its dropped arrivals had been answered at once and completely. `in_baseline`, `elsewhere`:
    whether this is assumed of those in the baseline, and of all others."""
    dropped = run.samples["outcome"] == Outcome.DROPPED
    baseline = np.zeros(len(dropped), np.bool_)
    baseline[run.window("baseline", every_part=True).place] = True
    chosen = dropped & np.where(baseline, in_baseline, elsewhere)
    samples = run.samples
    return replace(
        run,
        samples=samples.replaced(
            outcome=np.where(chosen, np.uint8(Outcome.OK), samples["outcome"]),
            status=np.where(chosen, np.uint16(200), samples["status"]),
            done_ns=np.where(chosen, samples["intended_ns"], samples["done_ns"]),
            answered=np.where(chosen, ~np.uint64(0), samples["answered"]),
        ),
    )


def depends_on_dropped(gate: Gate, pool: Pool, verdict: str, judge: Judge) -> bool:
    """Whether `verdict` (pass, fail, inconclusive) could be another one if the dropped arrivals had been sent."""
    if verdict == "inconclusive":
        return False
    compares = gate.phase != "baseline" and "baseline" in gate.phases()
    if verdict == "fail":  # the best case: all answered at once, and the baseline it compares with as bad as it can be
        best = Pool(tuple(assume_ok(run, in_baseline=not compares) for run in pool.runs))
        return judge(best) != "fail"
    worst = Pool(tuple(assume_ok(run, in_baseline=compares, elsewhere=False) for run in pool.runs))
    # arrivals that were never sent make a ratio such as calls per arrival look better
    return judge(worst) != "pass" or judge(Pool(tuple(_without_drops(run) for run in pool.runs))) != "pass"


def _without_drops(run: Evidence) -> Evidence:
    return replace(run, samples=run.samples[run.samples["outcome"] != Outcome.DROPPED])


def drops_finding(run: Evidence, gate: str) -> RunCheck:
    """The failed check `counts` of a run whose dropped arrivals decide the verdict of `gate` (its text)."""
    count = int(np.count_nonzero(run.samples["outcome"] == Outcome.DROPPED))
    return RunCheck(
        "counts",
        False,
        f"{format_things(count, 'arrival')} found none of the {format_count(run.plan.load.max_in_flight)} slots that "
        f"the open-file limit allows, and whether `{gate}` holds depends on how they would have ended",
        "raise the hard limit of open files (ulimit -Hn, as root), or lower the rate or `load.timeout`",
    )
