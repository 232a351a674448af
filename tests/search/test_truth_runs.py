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

pytestmark = [pytest.mark.stack, pytest.mark.beside]
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


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> dict[Limited, RateCurve]:
    """One start of each service, at the same time: they sleep, so that none takes the others' cores."""
    folder = tmp_path_factory.mktemp("truth")
    services = (POOL, THREADS, COLLAPSE)
    with ThreadPoolExecutor(len(services)) as pool:
        found = pool.map(lambda limited: searched(limited, folder / limited.kind), services)
        return {limited: results.curves[0] for limited, results in zip(services, found, strict=True)}


def complete(curve: RateCurve) -> RateCurve:
    """The curve, if the machine left the service and the load generator in peace; what a search finds else is less."""
    if disturbed := [step.reason for step in curve.steps if step.outcome == "generator"]:
        pytest.skip(f"the machine was busy with something else: {disturbed[0]}")
    return curve


@pytest.mark.parametrize("limited", [POOL, THREADS, COLLAPSE], ids=lambda limited: limited.kind)
def test_what_is_certified_is_true_and_no_limiter_is_wrong(curves: dict[Limited, RateCurve], limited: Limited) -> None:
    """On a busy machine too, where less is certified."""
    curve, truth_per_s = curves[limited], limited.truth_per_s()
    said = [(step.purpose, step.rate_per_s, step.outcome, step.reason) for step in curve.steps]
    assert curve.ended_by != "rig", said
    assert curve.certified_per_s is None or curve.certified_per_s <= truth_per_s, said
    assert curve.refuted_per_s is None or curve.refuted_per_s >= truth_per_s, said
    assert curve.limiter.kind in ("not_known", *limited.limiters), curve.limiter
    assert limited is COLLAPSE or "metastable" not in curve.findings


@pytest.mark.parametrize("limited", [POOL, THREADS, COLLAPSE], ids=lambda limited: limited.kind)
def test_the_bracket_has_both_ends(curves: dict[Limited, RateCurve], limited: Limited) -> None:
    curve = complete(curves[limited])
    assert curve.certified_per_s is not None and curve.refuted_per_s is not None, curve.steps


def test_threads_that_a_slow_upstream_fills_are_named_with_their_figures(curves: dict[Limited, RateCurve]) -> None:
    limiter = complete(curves[THREADS]).limiter
    assert limiter.kind in THREADS.limiters, limiter
    assert limiter.figures


def test_a_service_that_does_not_come_back_is_said_to_and_started_anew(curves: dict[Limited, RateCurve]) -> None:
    assert {"metastable", "restarted"} <= set(complete(curves[COLLAPSE]).findings)
