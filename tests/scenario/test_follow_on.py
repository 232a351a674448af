"""One mistake of form is one problem: whatever part of a scenario cannot be read, nothing else is blamed for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness.cli.display.output import spell
from harness.errors import Problem
from tests.scenario.world import problems

COMMAND = """\
name: own
service:
  command: serve --port {port}
  env: {A: "{azure.url}", G: "{gcp.address}", T: "{gateway.timeout}"}
  headers: {X-Tenant: one}
  ready: GET /up within 5s
upstreams:
  azure: {p50: 60ms, p99: 140ms, port: 4001, rows: 40, page: 10}
  gcp: {profile: {pareto: {least: 50ms, p99: 2s}}, provider: vultr}
gateway: {timeout: 5s, kind: client}
load:
  rate: 40/s
  requests:
    - {name: by-gcp, request: POST /a, json: {x: 1}, weight: 2, asks: [gcp], expect: {status: 200}}
    - {request: GET /b}
  warmup: 3s
  baseline: 65s
  duration: 600s
  recovery: 60s
faults:
  - {upstream: azure, latency: 60s, jitter: 1s, for: 60s, name: slow}
  - {upstream: [azure, gcp], limit_data: 100B, for: 10s, stream: downstream}
  - {upstream: all, slicer: {size: 100B, delay: 50ms}, for: 8s, every: 20s}
gates:
  - p99 < 1.5x baseline during slow
  - recovery < 10s after slow
  - calls to gcp for by-gcp < 2
  - named azure within 50s during slow
  - cleared within 20s after azure-gcp-limit-data
  - rss < 300MB during all-slicer
verdict: {confidence: 90%, clump: 50ms, runs: 2}
"""
RUNG = """\
name: rung
tags: [a]
service: {rung: pushdown, without: [deadline], with: [breaker], client: httpx, alerts: GET /metrics degraded}
upstreams: {azure: {}, gcp: {}}
gateway: {timeout: 2s}
load: {request: GET /v1/offers, stages: [{rate: 40/s, for: 100s}, {rate: 80/s, for: 100s, shape: ramp}]}
faults: [{upstream: all but gcp, hang: true, for: 60s, share: 60%}]
gates: [complete > 99% during all-but-gcp-hang, p99 of azure < 2s]
matrix: {vary: {service.rung: [isolated, pushdown], service.without: [null]}, expect: {isolated: [fail]}}
"""
URL = """\
name: url
service: {url: "http://127.0.0.1:8000", alerts: GET /metrics degraded}
upstreams: {azure: {port: 4001}, gcp: {port: 4002}}
gateway: {timeout: 5s, kind: external}
load: {request: {request: GET /, name: root, headers: {X-Gpu: "{gpu}"}}, data: gpus.csv, users: 20}
faults: [{upstream: azure, down: true, for: 60s}]
gates: [named azure within 5s, errors for root < 1% during azure-down]
"""
SCENARIOS = {"command": COMMAND, "rung": RUNG.partition("matrix:")[0], "url": URL}
BROKEN: tuple[Any, ...] = ({"no": "way"}, [[]], -1, True, "?!?")


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of everything but the whole."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def put(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    step, *rest = path
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[step] = put(copy[step], tuple(rest), value) if rest else value
    return copy


def renamed(node: Any, path: tuple[Any, ...], name: str) -> Any:
    if len(path) > 1:
        return put(node, path[:1], renamed(node[path[0]], path[1:], name))
    return {name if key == path[0] else key: value for key, value in node.items()}


def spelled(path: tuple[Any, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def told(tree: Any) -> tuple[Problem, ...]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "gpus.csv").write_text("gpu\nA100\n", encoding="utf-8")
        with (folder / "t.yaml").open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump(tree, file)
        return problems(folder, (folder / "t.yaml").read_text(encoding="utf-8"))


def tree_of(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(SCENARIOS[name])


@pytest.mark.parametrize("name", SCENARIOS)
def test_they_are_right_as_they_stand(name: str) -> None:
    assert [spell(problem) for problem in told(tree_of(name))] == []


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name in SCENARIOS for place in places(tree_of(name))], ids=str
)
def test_what_cannot_be_read_is_told_and_nothing_else(name: str, place: tuple[Any, ...]) -> None:
    tree = tree_of(name)
    for value in BROKEN:
        found = told(put(tree, place, value))
        here = [problem for problem in found if problem.path.startswith(spelled(place))]
        if here and all("expected" in problem.message or "is not" in problem.message for problem in here):
            assert [spell(problem) for problem in found if problem not in here] == [], value


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name in SCENARIOS for place in places(tree_of(name)) if isinstance(place[-1], str)],
    ids=str,
)
def test_an_unknown_key_is_told_and_nothing_else(name: str, place: tuple[Any, ...]) -> None:
    tree = tree_of(name)
    for key in (f"{place[-1][:-1]}_{place[-1][-1]}", f"{place[-1]}s", "something"):
        found = told(renamed(tree, place, key))
        here = [problem for problem in found if problem.path == spelled((*place[:-1], key))]
        if any("unknown key" in problem.message for problem in here):
            others = [spell(problem) for problem in found if problem not in here]
            missing = "is missing" in "".join(others) and key == "something"  # it may be no misspelling
            assert others == [] or missing, others
