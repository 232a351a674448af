"""A fault that the service never met, on the wire and by the fake: real processes, short runs."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.run.real_runs import TAILGATE, Ran, run

pytestmark = pytest.mark.stack

SERVICE = str(Path(__file__).with_name("caching_service.py"))
NOT_ASKED = "azure was never asked while it was broken"


def scenario(way: str, fault: str, gates: str = "errors < 5% during azure-bad") -> str:
    """About ten seconds."""
    command = f"{shlex.quote(sys.executable)} {shlex.quote(SERVICE)} {{port}} {way} azure={{azure.url}} gcp={{gcp.url}}"
    return f"""\
name: met
service: {{command: {json.dumps(command)}}}
upstreams:
  azure: {{p50: 5ms, p99: 10ms, rows: 5}}
  gcp: {{p50: 5ms, p99: 10ms, rows: 5}}
gateway: {{timeout: 2s}}
load: {{request: GET /v1/offers, rate: 20/s, warmup: 1s, baseline: 1s, recovery: 500ms, guard: 500ms}}
faults: [{{name: azure-bad, upstream: azure, {fault}, for: 7s}}]
gates: [{gates}]
verdict: {{clump: 15ms}}
"""


def the_fault(ran: Ran) -> dict[str, Any]:
    (fault,) = ran.results["faults"]
    assert isinstance(fault, dict)
    return fault


ON_THE_WIRE = "latency: 60s"
BY_THE_FAKE = "status: 503"


@pytest.mark.beside
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ON_THE_WIRE, id="on the wire"),
        pytest.param(BY_THE_FAKE, id="by the fake", marks=pytest.mark.nightly),
        pytest.param("down: true", id="refused", marks=pytest.mark.nightly),
    ],
)
def test_a_cache_of_180_s_hides_the_fault(tmp_path: Path, fault: str) -> None:
    ran = run(tmp_path, scenario("cache", fault))
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout
    assert "the service never met `azure-bad`" in ran.results["reason"]
    assert "the last call " in ran.results["reason"]
    assert "`met: optional`" in ran.results["next"]
    assert the_fault(ran)["observed"] and not the_fault(ran)["met"]


@pytest.mark.beside
@pytest.mark.nightly  # by day tests/verdict decides so from such evidence
def test_the_same_where_it_need_not_be_met_passes_and_says_so_everywhere(tmp_path: Path) -> None:
    ran = run(tmp_path, scenario("cache", f"{ON_THE_WIRE}, met: optional"))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout
    assert ran.run_dir is not None
    assert NOT_ASKED in ran.results["reason"]
    assert NOT_ASKED in " ".join(ran.stdout.split())
    for name in ("report.html", "summary.md", "junit.xml"):
        assert NOT_ASKED in (ran.run_dir / name).read_text(encoding="utf-8"), name
    suite = ET.parse(ran.run_dir / "junit.xml").getroot()[0]
    assert NOT_ASKED in (suite.findtext("system-out") or "")
    before = (ran.run_dir / "results.json").read_bytes()
    subprocess.run([TAILGATE, "judge", str(ran.run_dir)], check=True, capture_output=True, timeout=60)
    assert (ran.run_dir / "results.json").read_bytes() == before


@pytest.mark.nightly
def test_a_breaker_that_opened_after_one_call_has_met_it(tmp_path: Path) -> None:
    """By day tests/evidence/test_meetings.py has meetings as short."""
    ran = run(tmp_path, scenario("breaker", ON_THE_WIRE))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout
    assert the_fault(ran)["landed"]
    assert the_fault(ran)["proof"]["calls_during"] == 1


@pytest.mark.nightly
def test_a_breaker_that_opened_at_the_first_refused_connection_has_met_it(tmp_path: Path) -> None:
    """By day tests/evidence/test_meetings.py has meetings as short."""
    ran = run(tmp_path, scenario("breaker", "down: true"))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout
    assert the_fault(ran)["proof"]["windows_refused"] == 1


@pytest.mark.nightly
def test_a_toxic_on_the_requests_is_met_by_connections_that_last_a_moment(tmp_path: Path) -> None:
    """They are reset before the backend has heard of a request, and before the sockets are looked at.

    By day tests/evidence/test_meetings.py has such connections, made up. Its one connection must not come while the
    toxic is being applied, so nothing should run beside it.
    """
    ran = run(tmp_path, scenario("breaker", "reset: 0ms, stream: upstream"))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout
    proof = the_fault(ran)["proof"]
    assert proof["calls_during"] == 0
    assert proof["connections_during"] >= 1


@pytest.mark.nightly
def test_a_service_that_answers_403_from_the_start_is_told_so_and_nobody_is_blamed(tmp_path: Path) -> None:
    """By day test_warmup_runs.py has one that answers 503."""
    gates = "p95 < gateway.timeout during azure-bad, errors < 5% during azure-bad"
    ran = run(tmp_path, scenario("refuses", ON_THE_WIRE, gates))
    assert (ran.code, ran.verdict) == (1, "FAIL"), ran.stdout
    assert "was answered with 403" in ran.results["why"]
    assert "azure" not in ran.results["why"]
    assert "≥" not in ran.stdout
    assert all(gate["as_before"] for gate in ran.results["gates"] if gate["verdict"] == "fail")
