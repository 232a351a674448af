"""What tests of scenarios need: a scenario that is right, ways to break it, and its problems in short."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from harness.cli.display.output import spell
from harness.errors import Problem, ScenarioError
from harness.rundir.plan import Plan
from harness.scenario import LoadedScenario, load_scenario
from harness.scenario.planner import make_plan
from harness.scenario.planning.gateway_choice import ResolvedGateway

GOOD = """\
name: good
service: {rung: timeout}
upstreams:
  azure: {p50: 60ms, p99: 140ms}
  gcp: {}
gateway: {timeout: 5s}
load:
  request: GET /v1/offers
  rate: 40/s
faults:
  - {upstream: azure, latency: 60s, for: 90s}
gates:
  - p99 < gateway.timeout during azure-latency
  - errors < 1% during azure-latency
"""
LADDER = """\
name: ladder
service: {rung: sequential}
upstreams:
  aws: {p50: 60ms, p99: 140ms, rows: 40}
  azure: {p50: 60ms, p99: 140ms, rows: 40}
  gcp: {p50: 60ms, p99: 140ms, rows: 40}
  oci: {p50: 60ms, p99: 140ms, rows: 40}
  lambda: {p50: 60ms, p99: 140ms, rows: 40}
  nebius: {p50: 60ms, p99: 140ms, rows: 40}
  runpod: {p50: 60ms, p99: 140ms, rows: 40}
  vastai: {p50: 60ms, p99: 140ms, rows: 40}
gateway: {timeout: 2s}
load: {request: GET /v1/offers, rate: 40/s, warmup: 3s, baseline: 4s, recovery: 4s}
faults: [{name: azure-slow, upstream: azure, latency: 60s, for: 22s}]
gates: [p99 < gateway.timeout during azure-slow, timeouts < 1% during azure-slow, complete > 99% during azure-slow]
verdict: {clump: 25ms}
matrix:
  vary: {service.rung: [sequential, parallel, timeout, pushdown]}
  expect: {sequential: [fail], parallel: [fail]}
"""


def uncommented(text: str) -> str:
    """A scenario with every proposed line of a list taken: the # before it is removed."""
    return re.sub(r"(?m)^  # - ", "  - ", text)


def changed(*changes: tuple[str, str], text: str = GOOD) -> str:
    """The scenario with each text replaced by another; what is replaced must be there."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def write(folder: Path, text: str, name: str = "scenario.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str = GOOD, *sets: str) -> LoadedScenario:
    return load_scenario(write(folder, text), sets)


def problems(folder: Path, text: str, *sets: str) -> tuple[Problem, ...]:
    try:
        load(folder, text, *sets)
    except ScenarioError as exc:
        return exc.problems
    return ()


def only_problem(folder: Path, text: str, *sets: str) -> Problem:
    found = problems(folder, text, *sets)
    assert len(found) == 1, [spell(problem) for problem in found]
    return found[0]


def plan_of(loaded: LoadedScenario, *, nginx: bool = False, seed: int = 0) -> Plan:
    ports = count(20_000)
    gateway = ResolvedGateway("nginx", "/usr/sbin/nginx") if nginx else ResolvedGateway("client")
    return make_plan(
        loaded, run_id="20260101-000000-abcd", seed=seed, ports=lambda: next(ports), gateway=gateway, workers=1
    )
