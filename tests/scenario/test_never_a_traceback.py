"""Whatever a file holds, a scenario loads and plans, or is refused with problems; nothing else is ever raised."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from harness.cli.display.output import spell
from harness.errors import ScenarioError
from harness.scenario import load_scenario
from tests.scenario.world import GOOD, LADDER, plan_of
from tests.thorough import examples

RICH = """\
name: rich
seed: 3
tags: [a]
service: {command: "serve {port} ${HOME:-x}", env: {A: "{azure.url}"}, headers: {H: v}, ready: GET /up within 5s}
upstreams: {azure: {p50: 60ms, p99: 140ms, port: 4001, rows: 40, page: 10}, gcp: {}}
gateway: {timeout: 5s, kind: client}
load:
  stages: [{rate: 40/s, for: 100s}, {rate: 80/s, for: 400s, shape: ramp}]
  arrivals: constant
  requests: [{name: a, request: POST /a, json: {x: 1}, weight: 2, asks: [gcp], expect: {status: 200}}, GET /b]
  warmup: 3s
  baseline: 65s
  recovery: 60s
  guard: 2s
  ok: 200-299
faults:
  - {upstream: azure, latency: 60s, jitter: 1s, for: 60s, name: slow}
  - {upstream: [azure, gcp], bandwidth: 1kB/s, for: 60s, share: 60%}
  - {upstream: all, slicer: {size: 100B, delay: 50ms}, for: 8s, every: 20s}
gates: [p99 < 1.5x baseline during slow, recovery < 10s after slow, 'calls to gcp for "GET /b" < 2', errors for a < 2%]
verdict: {confidence: 90%, clump: 50ms, runs: 2}
matrix: {vary: {gateway.timeout: [5s, 6s], seed: [1, 2]}, expect: {5s/1: [fail]}}
"""
SCENARIOS = tuple(YAML(typ="safe", pure=True).load(text) for text in (GOOD, LADDER, RICH))
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=True),
    st.text(max_size=12),
    st.sampled_from(
        ["0s", "1ns", "24h", "99999h", "0/s", "1e5/s", "0%", "100%", "0B", "1GB", "{port}", "${X}", "{{", "{", "all",
         "azure", "whole", "GET /", "p99 < 1s", "recovery < 1h after slow", "p0.001 < 1s", "p99.9999 < 1s during slow",
         "throughput > 1/s after slow", "<<", "../..", "/", "\0", "9" * 400 + "s", "a\nb"]
    ),
    st.just([]),
    st.just({}),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.none(), max_size=2),
)  # fmt: skip


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        found += places(value, (*path, key))
    return found


def put(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    if len(path) == 1 and value is DELETE:
        del copy[path[0]]
    else:
        copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


DELETE = object()
KEYS = st.sampled_from(
    ["at", "every", "share", "hang", "users", "replay", "duration", "locustfile", "data", "extends", "matrix", "port",
     "name", "url", "command", "toxic", "jitter", "drain", "timeout", "max_in_flight", "complete", "without", "cwd"]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    tree = draw(st.sampled_from(SCENARIOS))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([place for place in places(tree) if place] or [()]))
        match draw(st.sampled_from(["replace", "delete", "add"])):
            case "replace":
                tree = put(tree, path, draw(ODD))
            case "delete" if path:
                tree = put(tree, path, DELETE)
            case _:
                holder = path[:-1]
                node = tree
                for step in holder:
                    node = node[step]
                if isinstance(node, dict):
                    tree = put(tree, holder, {**node, draw(KEYS): draw(ODD)})
        if not isinstance(tree, dict):
            break
    return tree


def check(path: Path) -> None:
    try:
        loaded = load_scenario(path)
    except ScenarioError as exc:
        assert exc.problems
        for problem in exc.problems:
            assert problem.message
            assert spell(problem)
        return
    for cell in loaded.cells:
        plan_of(cell.loaded).model_dump_json()


@pytest.mark.thorough
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=mutated())
def test_mutated_scenarios(tree: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        with path.open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump(tree, file)
        check(path)


@pytest.mark.thorough
@settings(max_examples=examples(200), deadline=None)
@given(
    text=st.sampled_from((GOOD, RICH)),
    at=st.floats(0, 1),
    junk=st.one_of(
        st.text(max_size=4),
        st.sampled_from(["\t", "{", "}", "[", "]", ":", "&a ", "*a", "!x ", "- ", "|", "#", '"', "'", "%", "\n---\n"]),
    ),
    cut=st.integers(0, 30),
)
def test_damaged_text(text: str, at: float, junk: str, cut: int) -> None:
    place = int(at * len(text))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(text[:place] + junk + text[place + cut :], encoding="utf-8", errors="replace")
        check(path)


@pytest.mark.thorough
@settings(max_examples=examples(100), deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_bytes(content)
        check(path)


@pytest.mark.thorough
@settings(max_examples=examples(200), deadline=None)
@given(setting=st.one_of(st.text(max_size=20), st.builds("{}={}".format, KEYS, st.text(max_size=10))))
def test_any_setting(setting: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(GOOD, encoding="utf-8")
        try:
            load_scenario(path, [setting])
        except ScenarioError as exc:
            assert exc.problems
