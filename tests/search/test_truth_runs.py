"""Three searches of the truth table, short and side by side: a pool, threads that an upstream fills, and a collapse.

The bracket of each must hold the rate that a simulation of its queue gives. The whole table is `bench.capacity_truth`,
by night; a service that computes needs a core of its own and is searched there alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.limited_queue import Limited
from harness.run.progress import NullDisplay
from harness.run.run import Options, Session
from harness.run.signals import Stopper
from harness.rundir.searches.capacity import CapacityResults, RateCurve
from harness.scenario import load_scenario
from harness.scenario.planner import cells
from harness.search.capacity import Settings
from harness.search.capacity_run import Asked, search_capacity

pytestmark = pytest.mark.stack
POOL = Limited("pool", 4, 20, 150)
THREADS = Limited("threads", 24, 160, 400, ("threads", "upstream_calls"))
COLLAPSE = Limited("collapse", 4, 20, 250)
FIRST = 0.5
"""Of the truth: loads of 0.5, 0.9, 1.62 and 1.21 times the truth follow, far enough from it to be sure in 3 s."""


def searched(limited: Limited, folder: Path) -> CapacityResults:
    folder.mkdir()
    path = folder / "scenario.yaml"
    path.write_text(limited.scenario(FIRST * limited.truth_per_s()))
    loaded = load_scenario(path)
    settings = Settings(
        first_per_s=loaded.scenario.load.rate_per_s or 1.0, to_per_s=None, within=0.4, refute_ms=4_000, soak_ms=4_000,
        alpha=0.05, settle_ms=1_500, explore_ms=3_000, return_ms=1_500,
    )  # fmt: skip
    session = Session(Options(out=folder / "runs"), NullDisplay(), Stopper())
    return search_capacity(session, cells(loaded)[0], settings, Asked((), None, None, 0.1))[1]


def search_all(folder: Path) -> dict[Limited, RateCurve]:
    """One start of each service, at the same time: they sleep, so that none takes the others' cores."""
    services = (POOL, THREADS, COLLAPSE)
    with ThreadPoolExecutor(len(services)) as pool:
        found = pool.map(lambda limited: searched(limited, folder / limited.kind), services)
        return {limited: results.curves[0] for limited, results in zip(services, found, strict=True)}


SLOWEST = 1.5
"""A machine that is slow or busy makes the work of a service so many times longer at most, and its truth less."""


def refuse_untrue(limited: Limited, curve: RateCurve, slower: float = 1.0) -> None:
    """What must hold on a busy machine too, where less is certified. `slower`: how many times longer work may take."""
    truth_per_s = limited.truth_per_s()
    slow_truth_per_s = limited.truth_per_s(slower * limited.work_ms)
    said = [(step.purpose, step.rate_per_s, step.outcome, step.reason) for step in curve.steps]
    assert curve.ended_by != "rig", said
    assert curve.certified_per_s is None or curve.certified_per_s <= truth_per_s, said
    assert curve.refuted_per_s is None or curve.refuted_per_s >= slow_truth_per_s, said
    assert curve.limiter.kind in ("not_known", *limited.limiters), curve.limiter
    assert limited is COLLAPSE or "metastable" not in curve.findings


def refuse_incomplete(limited: Limited, curve: RateCurve) -> None:
    """What a search finds besides, where the machine leaves the service and the load generator in peace."""
    assert curve.certified_per_s is not None and curve.refuted_per_s is not None, curve.steps
    if limited is THREADS:
        assert curve.limiter.kind in THREADS.limiters and curve.limiter.figures, curve.limiter
    if limited is COLLAPSE:
        assert {"metastable", "restarted"} <= set(curve.findings)


@pytest.mark.beside
def test_what_is_certified_is_true_and_no_limiter_is_wrong(tmp_path: Path) -> None:
    """The brackets have one end at least where nothing else disturbed the loads; at night they must have both
    (`test_the_brackets_have_both_ends`)."""
    for limited, curve in search_all(tmp_path).items():
        refuse_untrue(limited, curve, SLOWEST)
        if all(step.outcome != "generator" for step in curve.steps):
            assert (curve.certified_per_s, curve.refuted_per_s) != (None, None), curve.steps


@pytest.mark.alone
@pytest.mark.nightly
def test_the_brackets_have_both_ends(tmp_path: Path) -> None:
    for limited, curve in search_all(tmp_path).items():
        refuse_untrue(limited, curve)
        refuse_incomplete(limited, curve)
