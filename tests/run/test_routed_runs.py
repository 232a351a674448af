"""A service with partners of its own: routes and a description of an API as its upstreams, in real processes."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.run.real_runs import run

pytestmark = [pytest.mark.stack, pytest.mark.beside]

SERVICE = str(Path(__file__).with_name("partner_service.py"))
COMMAND = f"{shlex.quote(sys.executable)} {shlex.quote(SERVICE)} {{port}} {{flights.url}} {{cars.url}}"
CARS: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "cars", "version": "1"},
    "paths": {
        "/cars/{id}": {
            "get": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {
                    "200": {
                        "description": "a car",
                        "content": {"application/json": {"example": {"brand": "Saab", "seats": 5}}},
                    }
                },
            }
        }
    },
}


def scenario(searches: str = "/v2/search") -> str:
    return f"""\
name: partners
service: {{command: {json.dumps(COMMAND)}}}
upstreams:
  flights:
    p50: 5ms
    p99: 10ms
    routes: {{GET {searches}: {{json: {{data: [{{id: "{{seq}}", to: "{{query.dest}}", by: "x{{mark}}"}}]}}}}}}
  cars: {{openapi: cars.json, p50: 5ms, p99: 10ms}}
gateway: {{timeout: 2s}}
load: {{request: GET /quote, rate: 20/s, warmup: 2s, baseline: 2s, recovery: 500ms, guard: 500ms}}
faults: [{{name: flights-bad, upstream: flights, status: 503, for: 5s}}]
gates: [errors < 5% during flights-bad]
verdict: {{clump: 15ms}}
"""


def test_a_fault_on_a_partner_with_routes_is_met_and_recorded_call_by_call(tmp_path: Path) -> None:
    (tmp_path / "cars.json").write_text(json.dumps(CARS))
    ran = run(tmp_path, scenario())
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    (fault,) = ran.results["faults"]
    assert fault["landed"] and fault["proof"]["calls_during"] > 20
    assert ran.results["unmatched"] == []
    assert ran.results["correlation"]["joined_share"] > 0.9
    assert ran.run_dir
    assert "Saab" not in "".join(path.read_text("utf-8", "replace") for path in ran.run_dir.glob("*.json"))


def test_calls_without_a_route_end_the_run_after_its_warmup_and_name_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "cars.json").write_text(json.dumps({**CARS, "paths": {"/carz/{id}": CARS["paths"]["/cars/{id}"]}}))
    ran = run(tmp_path, scenario("/v2/serach"))
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    assert {(line["upstream"], line["nearest"]) for line in ran.results["unmatched"]} == {
        ("flights", "GET /v2/serach"),
        ("cars", "GET /carz/{id}"),
    }
    assert "GET /v2/serach" in ran.results["next"]
    assert "the nearest is GET /v2/serach" in " ".join(ran.stdout.split())
