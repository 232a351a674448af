"""The published schemas: valid themselves, agree with what the validator takes, and help an editor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from harness.scenario.schema.json_schema import results_schema, scenario_schema
from harness.scenario.source.catalog import catalog_dir
from tests.scenario.world import GOOD, LADDER, changed

SCHEMA = scenario_schema()
VALIDATOR = Draft7Validator(SCHEMA)


def document(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_both_are_schemas() -> None:
    Draft7Validator.check_schema(SCHEMA)
    Draft7Validator.check_schema(results_schema())


@pytest.mark.parametrize("path", sorted(catalog_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_the_catalog_fits(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(document(path.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        LADDER,
        changed(("latency: 60s", "slicer: {size: 1kB, delay: 10ms}")),
        changed(("latency: 60s", "toxic: {type: timeout, attributes: {timeout: 5}}")),
        changed(("latency: 60s", "status: 429, retry_after: 2s, share: 10%")),
        changed(("latency: 60s", "ramp: 0ms → 5s over 60s"), ("upstream: azure", "upstream: all but gcp and oci")),
        changed(("latency: 60s", "slow_spells: {latency: 2s, every: 10s, last: 2s}")),
        changed(("request: GET /v1/offers", "requests: [GET /a, {request: POST /b, json: [1]}]")),
        changed(("{rung: timeout}", "{command: [a, '{port}'], env: {A: b}}")),
        changed(("rate: 40/s", "stages: [{rate: 4/s, for: 1m, shape: ramp}]")),
        changed(("  rate: 40/s\n", ""), ("GET /v1/offers", "{request: GET /v1/offers, rate: 40/s}")),
        changed(("request: GET /v1/offers", "requests: [GET /a, {request: GET /b, stages: [{rate: 1/s, for: 1m}]}]")),
        changed(("rate: 40/s", "rate: 40/s\n  complete: {jmespath: a}\n  ok: 200")),
    ],
)
def test_what_is_right_fits(text: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(document(text))] == []


@pytest.mark.parametrize(
    "change",
    [
        ("name: good\n", ""),
        ("name: good", "name: good\nnam: x"),
        ("rate: 40/s", "rate: 40"),
        ("rate: 40/s", "rate: 40/s\n  users: 3"),
        ("  rate: 40/s\n", ""),
        ("request: GET /v1/offers\n  rate: 40/s", "requests: [GET /a, {request: GET /b, rate: 1/s}]"),
        ("for: 90s", "for: 90"),
        ("for: 90s", "for: 90 seconds"),
        ("for: 90s", "fro: 90s"),
        ("latency: 60s", "latency: 60s, hang: true"),
        ("latency: 60s", "hang: true, jitter: 1s"),
        ("latency: 60s, ", ""),
        ("rung: timeout", "rung: tiemout"),
        ("gcp: {}", "gcp: {p50: 200}"),
        ("gcp: {}", "GCP: {}"),
        ("timeout: 5s", "timeout: 5s, kind: ngnix"),
        ("GET /v1/offers", "/v1/offers"),
    ],
)
def test_what_is_wrong_does_not(change: tuple[str, str]) -> None:
    assert list(VALIDATOR.iter_errors(document(changed(change))))


def test_an_editor_finds_words_and_examples() -> None:
    fault = SCHEMA["$defs"]["Fault"]["properties"]
    assert fault["latency"]["examples"]
    assert fault["latency"]["description"] == "Added to every answer of the upstream"
    assert fault["share"]["default"] == "100%"
    for name, field in {**SCHEMA["properties"], **fault, **SCHEMA["$defs"]["Load"]["properties"]}.items():
        assert isinstance(field, dict), name
        assert field.get("default") is not None or "default" not in field, name


def test_results_and_matrices_are_described() -> None:
    schema = results_schema()
    assert {"Results", "MatrixResults", "GateResult"} <= set(schema["$defs"])
