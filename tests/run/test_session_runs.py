"""Whole runs with streams and sessions: two requests with rates of their own, both with tokens of a login."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.rundir.plan import Plan
from harness.rundir.rows import CALLS, LOGIN_SEQ, SAMPLES, read_rows
from scenarios.load import PlannedArrivals
from tests.run.real_runs import Ran, run

pytestmark = [pytest.mark.stack, pytest.mark.beside]

SERVICE = str(Path(__file__).with_name("session_service.py"))
COMMAND = f"{shlex.quote(sys.executable)} {shlex.quote(SERVICE)} {{port}}"
SCENARIO = f"""\
name: sessions
service:
  command: {json.dumps(COMMAND)}
  env: {{AZURE_URL: "{{azure.url}}", GCP_URL: "{{gcp.url}}"}}
upstreams:
  azure: {{p50: 10ms, p99: 25ms, rows: 10}}
  gcp: {{p50: 10ms, p99: 25ms, rows: 10}}
gateway: {{timeout: 2s}}
load:
  warmup: 500ms
  baseline: 1s
  recovery: 1s
  guard: 500ms
  headers: {{Authorization: "Bearer {{token}}"}}
  login:
    request: {{request: POST /login, json: {{user: "${{LOGIN_USER:-ann}}"}}, expect: {{status: 201}}}}
    save: {{token: access_token}}
    users: 3
    every: 4s
  requests:
    - {{name: reads, request: GET /offers, rate: 15/s}}
    - {{name: orders, request: GET /orders, asks: [gcp], stages: [{{rate: 0/s, for: 2s}}, {{rate: 15/s, for: 5s}}]}}
faults: [{{upstream: azure, latency: 60s, for: 7s}}]
gates:
  - p90 for reads < gateway.timeout during azure-latency
  - errors for orders < 10% during azure-latency
  - complete for orders > 90% during azure-latency
verdict: {{clump: 50ms}}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run(tmp_path_factory.mktemp("sessions"), SCENARIO)


def test_each_stream_is_judged_by_itself_with_tokens_of_the_sessions(ran: Ran) -> None:
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    results = ran.results
    assert results["run"]["load"]["rate_per_s"] == 30
    whole = next(phase for phase in results["phases"] if phase["name"] == "whole")
    assert whole["outcomes"]["ok"] > 0.9 * whole["n"], "all but those that a busy machine held up"


def test_rows_are_those_of_the_merged_plan(ran: Ran) -> None:
    assert ran.run_dir is not None
    plan = Plan.read(ran.run_dir)
    planned = PlannedArrivals.of(plan.load, plan.seed)
    rows = np.sort(read_rows(ran.run_dir / "samples-0.bin", SAMPLES), order="seq")
    assert rows["request"].tolist() == [planned.request_of(seq) for seq in range(len(planned))]
    assert {0, 1} == set(rows["request"].tolist())


def test_logins_are_told_from_what_is_measured(ran: Ran) -> None:
    assert ran.run_dir is not None
    calls = read_rows(ran.run_dir / "calls-0.bin", CALLS)
    assert np.count_nonzero(calls["seq"] == LOGIN_SEQ) >= 3, "the fakes recorded the calls of logins"
    per_arrival = {(one["name"], one["phase"]): one["calls_per_arrival"] for one in ran.results["upstreams"]}
    assert per_arrival["gcp", "whole"] == 1, "and they are in no figure"
    assert ran.results["correlation"]["joined_share"] == 1
    login = ran.results["login"]
    assert (login["sessions"], login["failed"]) == (3, 0)
    assert login["renewals"] >= 3


def test_no_file_and_no_output_has_a_token(ran: Ran) -> None:
    assert ran.run_dir is not None
    assert "gave ****" in (ran.run_dir / "logs" / "sut.log").read_text()
    for file in ran.run_dir.rglob("*"):
        if file.is_file():
            assert b"t0ken-" not in file.read_bytes(), file.name
    assert "t0ken-" not in ran.stdout + ran.stderr


@pytest.mark.nightly
def test_a_login_that_is_refused_is_a_rig_failure_with_the_fix(tmp_path: Path) -> None:
    """By day the worker against a stub represents it (tests/drive/test_login.py)."""
    ran = run(tmp_path, SCENARIO.replace("POST /login", "POST /nowhere").replace("status: 201", "status: 200"))
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout
    assert "load.login: POST /nowhere was answered 201" in ran.stdout + ran.stderr
    assert "t0ken-" not in ran.stdout + ran.stderr
