"""Whole runs with an upstream that tailgate starts, and faults on processes and on connecting."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.rundir.journal import read_journal
from tests.has_ended import has_ended
from tests.protocols.servers import program
from tests.run.real_runs import Ran, Running, assert_nothing_left, run

pytestmark = pytest.mark.stack

PYTHON = shlex.quote(sys.executable)
SERVICE = shlex.quote(str(Path(__file__).with_name("search_service.py")))
PARTNER = shlex.quote(str(Path(__file__).with_name("search_partner.py")))


def scenario(
    fault: str, gate: str, mode: str = "guarded", *, service: str = "", partner: str = "", more: str = ""
) -> str:
    """About twelve seconds: one fault of 6 s."""
    command = f"{PYTHON} {SERVICE} {{port}} {{search.url}} {mode} {service}".strip()
    started = f"{PYTHON} {PARTNER} {{port}} {partner}".strip()
    return f"""\
name: processes
service: {{command: {json.dumps(command)}, ready: GET /healthz within 10s}}
upstreams:
  search: {{command: {json.dumps(started)}, ready: GET /health within 5s{more}}}
gateway: {{timeout: 2s}}
load: {{request: GET /search, rate: 30/s, warmup: 1s, baseline: 1s, recovery: 3s, guard: 500ms}}
faults: [{{name: bad, {fault}, for: 8s}}]
gates: [{gate}]
verdict: {{clump: 15ms}}
"""


def the_fault(ran: Ran) -> dict[str, Any]:
    (fault,) = ran.results["faults"]
    assert isinstance(fault, dict)
    return fault


_GUARDED, _PATIENT = ("guarded", "PASS"), ("patient", "FAIL")
# each fault has one of its two services by day
BY_DAY_GUARDED = pytest.mark.parametrize(
    ("mode", "verdict"), [_GUARDED, pytest.param(*_PATIENT, marks=pytest.mark.nightly)]
)
BY_DAY_PATIENT = pytest.mark.parametrize(
    ("mode", "verdict"), [pytest.param(*_GUARDED, marks=pytest.mark.nightly), _PATIENT]
)


@BY_DAY_GUARDED
@pytest.mark.nightly  # by day a Redis is killed, paused and cut off, below
def test_an_upstream_that_is_killed_and_comes_back(tmp_path: Path, mode: str, verdict: str) -> None:
    ran = run(tmp_path, scenario("upstream: search, kill: true", "errors < 10% during bad", mode))
    assert ran.verdict == verdict, ran.stdout + ran.stderr
    assert the_fault(ran)["landed"]
    assert the_fault(ran)["proof"]["ready_after_ms"] > 0
    assert ran.run_dir is not None
    assert ran.run_dir.joinpath("logs", "upstream-search.log").read_text().count("partner starts") == 2
    after = next(phase for phase in ran.results["phases"] if phase["name"] == "after bad")
    assert after["outcomes"].get("ok", 0) > 30, "the partner answers again"


@BY_DAY_PATIENT
@pytest.mark.nightly  # by day a Redis is killed, paused and cut off, below
def test_an_upstream_that_is_paused_is_met_by_calls_and_continues(tmp_path: Path, mode: str, verdict: str) -> None:
    ran = run(tmp_path, scenario("upstream: search, pause: true", "p90 < 1s during bad", mode))
    assert ran.verdict == verdict, ran.stdout + ran.stderr
    assert (the_fault(ran)["landed"], the_fault(ran)["proof"]["witness"]) == (True, "process")
    assert "is stopped" in the_fault(ran)["proof"]["seen"]


@BY_DAY_GUARDED
@pytest.mark.nightly  # by day a Redis is killed, paused and cut off, below
def test_an_upstream_that_cannot_be_connected_to(tmp_path: Path, mode: str, verdict: str) -> None:
    ran = run(tmp_path, scenario("upstream: search, blackhole: true", "p90 < 1s during bad", mode))
    assert ran.verdict == verdict, ran.stdout + ran.stderr
    assert (the_fault(ran)["landed"], the_fault(ran)["proof"]["windows_refused"]) == (True, 1)
    assert re.match(r"held up to \d", the_fault(ran)["proof"]["seen"])  # to 2 s, or longer on a busy machine


def test_the_service_restarted_under_load_costs_errors_and_recovers(tmp_path: Path) -> None:
    gates = "errors < 90% during bad, errors < 50% after bad, threads < 500"
    ran = run(tmp_path, scenario("upstream: service, restart: true", gates))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    proof = the_fault(ran)["proof"]
    assert 0 < proof["ready_after_ms"] < 8_000
    assert proof["calls_during"] > 100
    during = next(phase for phase in ran.results["phases"] if phase["name"] == "bad")
    assert sum(count for outcome, count in during["outcomes"].items() if outcome != "ok") > 0


@pytest.mark.nightly  # by day tests/stack and the kill matrix see a service that stays dead
def test_a_service_that_does_not_come_back_fails(tmp_path: Path) -> None:
    text = scenario("upstream: service, restart: true", "errors < 99%", service=str(tmp_path / "lock"))
    ran = run(tmp_path, text)
    assert (ran.code, ran.verdict) == (1, "FAIL"), ran.stdout + ran.stderr
    assert "was not ready again within 8.00 s of the fault on it" in ran.results["reason"]
    assert "another instance has the lock" in ran.results["reason"]


@pytest.mark.nightly  # by day tests/stack/test_stack_up.py starts children that are never ready
def test_an_upstream_that_does_not_get_ready_is_a_rig_failure_with_the_end_of_its_log(tmp_path: Path) -> None:
    text = scenario(
        "upstream: search, kill: true", "errors < 10%", partner="60", more=", env: {PARTNER_TOKEN: '${TOKEN}'}"
    )
    ran = run(tmp_path, text, env={"TOKEN": "s3cret-of-the-partner"})
    assert ran.code == 4, ran.stdout + ran.stderr
    said = " ".join((ran.stdout + ran.stderr).split())
    assert "the upstream `search` was not ready within 5s: GET /health on port" in said
    assert "partner starts, token ***" in said
    assert ran.run_dir is not None
    for path in ran.run_dir.rglob("*"):
        assert not path.is_file() or b"s3cret-of-the-partner" not in path.read_bytes(), path


def test_an_upstream_that_dies_unplanned_is_a_rig_failure_that_names_it(tmp_path: Path) -> None:
    running = Running(tmp_path, scenario("upstream: search, status: 503", "errors < 10%"))
    run_dir = running.wait_for_fault()
    running.child("search_partner.py").kill()
    ran = running.end()
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout
    assert "upstream-search ended by signal 9 during the run" in ran.results["reason"]
    assert_nothing_left(run_dir)


def test_nothing_stays_stopped_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    running = Running(tmp_path, scenario("upstream: search, pause: true", "errors < 10%"))
    run_dir = running.wait_for(
        lambda run_dir: any(e.event == "applied" for e in read_journal(run_dir / "faults.ndjson"))
    )
    partner = running.child("search_partner.py")
    assert partner.status() == psutil.STATUS_STOPPED
    running.child("harness.stack.supervisor.supervisor").kill()
    ran = running.end()
    assert ran.code == 4, ran.stdout + ran.stderr
    assert_nothing_left(run_dir)
    assert has_ended(partner)


def test_a_real_redis_is_killed_paused_and_cut_off_and_answers_again_each_time(tmp_path: Path) -> None:
    program("redis-server")
    service = shlex.quote(str(Path(__file__).with_name("pooled_cache_service.py")))
    command = json.dumps(f"{PYTHON} {service} {{port}} {{cache.address}}")
    ran = run(
        tmp_path,
        f"""\
name: redis
service: {{command: {command}, ready: GET /healthz within 10s}}
upstreams:
  cache: {{command: "redis-server --port {{port}} --save ''", protocol: redis}}
gateway: {{timeout: 2s}}
load: {{request: GET /quote, rate: 30/s, warmup: 1s, duration: 32s, recovery: 3s, guard: 500ms}}
faults:
  - {{upstream: cache, kill: true, at: 2s, for: 6s}}
  - {{upstream: cache, pause: true, at: 11s, for: 7s, met: optional}}  # on a busy machine sockets are seldom read
  - {{upstream: cache, blackhole: true, at: 21s, for: 8s}}
gates: [p90 < 1s, errors < 10%]
verdict: {{clump: 15ms}}
""",
    )
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout + ran.stderr
    proofs = {fault["kind"]: fault["proof"] for fault in ran.results["faults"]}
    assert all(fault["observed"] for fault in ran.results["faults"])
    assert all(fault["landed"] for fault in ran.results["faults"] if fault["must_be_met"])
    assert {kind: proof["witness"] for kind, proof in proofs.items()} == dict.fromkeys(
        ("kill", "pause", "blackhole"), "canary"
    )
    assert proofs["kill"]["seen"].startswith("failed: ")
    assert re.match(r"held up to \d", proofs["pause"]["seen"])  # to 2 s, or longer on a busy machine
    assert proofs["kill"]["ready_after_ms"] > 0 and proofs["blackhole"]["ready_after_ms"] is None
