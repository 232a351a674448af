"""Searches with a real stack, by night, of services whose limit has its witness outside: what stops them is named.

By day tests/search/test_call_limit.py simulates such pools, and tests/search/test_refusals.py reads such logs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench.limited_queue import SERVICE
from harness.run.progress import NullDisplay
from harness.run.run import Options, Session
from harness.run.signals import Stopper
from harness.rundir.searches.capacity import LoadStep, RateCurve
from harness.scenario import load_scenario
from harness.scenario.planner import cells
from harness.search.capacity import Settings
from harness.search.capacity_run import Asked, search_capacity

pytestmark = [pytest.mark.stack, pytest.mark.alone, pytest.mark.nightly]
SETTINGS = Settings(
    first_per_s=10, to_per_s=None, within=0.5, refute_ms=8_000, soak_ms=6_000, alpha=0.05,
    settle_ms=3_000, explore_ms=8_000, return_ms=2_000,
)  # fmt: skip
SCENARIO = """\
name: limited
service: {command: COMMAND, ready: GET /healthz within 20s}
upstreams: UPSTREAMS
gateway: {timeout: 10s}
load: {request: GET /, rate: 10/s}
faults: FAULTS
gates: [GATE]
verdict: {clump: 10ms}
"""


def searched(folder: Path, words: list[str], **parts: str) -> tuple[RateCurve, ...]:
    text = SCENARIO.replace("COMMAND", json.dumps([sys.executable, str(SERVICE), "{port}", *words]))
    for name, part in {"upstreams": "{}", "faults": "[]", **parts}.items():
        text = text.replace(name.upper(), part)
    path = folder / "scenario.yaml"
    path.write_text(text)
    faults = ("slow",) if "slow" in text else ()
    session = Session(Options(out=folder / "runs"), NullDisplay(), Stopper())
    (cell,) = cells(load_scenario(path))
    return search_capacity(session, cell, SETTINGS, Asked(faults, None, None, 0.1))[1].curves


def steepest(curve: RateCurve) -> LoadStep:
    return max(curve.steps, key=lambda step: (step.rate_per_s, step.seconds))


def test_a_pool_of_connections_is_named_in_health_and_behind_a_fault_that_delays_its_calls(tmp_path: Path) -> None:
    """The pool carries 8 / 0.1 s = 80/s in health, and 8 / 0.6 s = 13/s with the fault, while the upstream has few
    calls at once."""
    curves = searched(
        tmp_path,
        ["connections", "8", "{azure.url}"],
        upstreams="{azure: {routes: {GET /: {json: {}}}, p50: 100ms, p99: 200ms}}",
        faults="[{name: slow, upstream: azure, latency: 500ms, for: 30s}]",
        gate="p50 < 1500ms",
    )
    for curve in curves:
        said = [(step.rate_per_s, step.outcome, step.reason, step.upstreams) for step in curve.steps]
        assert curve.limiter.kind == "upstream_calls", (curve.limiter, said)
        assert curve.limiter.figures["open_limit"] == 8, (curve.limiter, said)
    _, slow = curves
    assert {step.upstreams[0].connections_most for step in slow.steps} <= {None, 8}
    overloaded = steepest(slow)
    assert overloaded.upstreams[0].in_flight_mean is not None
    assert overloaded.upstreams[0].in_flight_mean < 3, "the upstream has few of them at once"


def test_a_queue_of_connections_that_is_full_is_named(tmp_path: Path) -> None:
    """One connection after the other, each for 20 ms, and a queue of two in the kernel."""
    (curve,) = searched(tmp_path, ["backlog", "2", "20"], gate="p90 < 900ms")
    said = [(step.rate_per_s, step.outcome, step.reason, step.refused, step.n) for step in curve.steps]
    assert curve.limiter.kind == "gateway_refusals", (curve.limiter, said)
    assert curve.certified_per_s is None or curve.certified_per_s < 50
