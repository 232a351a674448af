"""Whole runs of a user's own locustfile: driven at the planned times, and its mistakes are its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.run.real_runs import LIGHT_INCIDENT, run

pytestmark = pytest.mark.stack


LOCUSTFILE = """\
from locust import FastHttpUser, between, task

class Buyer(FastHttpUser):
    wait_time = between(1, 3)

    def on_start(self):
        assert self.client.get("/healthz").status_code == 200

    @task(9)
    def buys(self):
        self.client.get("/healthz", name="page")
        self.client.get("/v1/offers", name="offers")

    @task
    def sends_nothing(self):
        pass
"""
BUYERS = LIGHT_INCIDENT.replace(
    "request: GET /v1/offers", "locustfile: buyer.py, asks: {offers: [azure, gcp]}, headers: {x-team: buyers}"
).replace("p90 <", "p90 for offers <")


@pytest.mark.beside
def test_a_task_that_raises_before_it_sends_is_the_locustfiles_fault(
    tmp_path: Path, toxiproxy_env: dict[str, str]
) -> None:
    (tmp_path / "buyer.py").write_text(LOCUSTFILE.replace("pass", "raise LookupError('no catalogue')"))
    ran = run(tmp_path, BUYERS, env=toxiproxy_env)
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    assert "raised LookupError: no catalogue at buyer.py:16, before anything was sent, in" in ran.stderr
    assert ran.run_dir is not None
    results = json.loads((ran.run_dir / "results.json").read_text())
    kinds = {note["kind"] for note in results["locustfile"]}
    assert "raised" in kinds and kinds <= {"raised", "ignored", "waited"}


@pytest.mark.beside
def test_a_users_locustfile_is_driven_at_the_planned_times_and_quiet_says_one_line(
    tmp_path: Path, toxiproxy_env: dict[str, str]
) -> None:
    """It logs in when the service is ready, loads a page that asks nobody, and its offers are judged by their name."""
    (tmp_path / "buyer.py").write_text(LOCUSTFILE)
    ran = run(tmp_path, BUYERS, "--quiet", env=toxiproxy_env)
    assert ran.code == 0, ran.stdout + ran.stderr
    assert ran.stdout == f"PASS incident {Path('.runs') / 'incident' / (ran.run_dir or Path()).name}\n"
    assert ran.run_dir is not None
    results = json.loads((ran.run_dir / "results.json").read_text())
    kinds = [note["kind"] for note in results["locustfile"]]
    assert kinds[:2] == ["ignored", "no_request"], "and more users may log in during the fault, which takes a while"
    assert set(kinds[2:]) <= {"waited"}
    whole = next(phase for phase in results["phases"] if phase["name"] == "whole")
    assert whole["no_request"] > 0
    assert whole["outcomes"]["ok"] > 0.9 * whole["n"], "all but those that a busy machine held up"
    assert {request["name"] for request in whole["requests"]} == {"page", "offers"}


@pytest.mark.nightly
def test_a_gate_on_a_name_that_never_comes_is_told_while_the_load_runs(
    tmp_path: Path, toxiproxy_env: dict[str, str]
) -> None:
    """By day `test_locustfile_watch` stands for it."""
    (tmp_path / "buyer.py").write_text(LOCUSTFILE)
    ran = run(tmp_path, BUYERS.replace("for offers", "for nonexisting"), env=toxiproxy_env)
    assert (ran.code, ran.verdict) == (3, "INCONCLUSIVE"), ran.stdout + ran.stderr
    assert "warning: so far `p90 for nonexisting <" in ran.stderr


@pytest.mark.nightly
def test_a_locustfile_that_asks_another_host_is_stopped(tmp_path: Path, toxiproxy_env: dict[str, str]) -> None:
    """By day `test_locustfile_traps` stands for it."""
    (tmp_path / "buyer.py").write_text(LOCUSTFILE.replace('"/healthz", name', '"http://192.0.2.7/healthz", name'))
    ran = run(tmp_path, BUYERS, env=toxiproxy_env)
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    assert "192.0.2.7 at buyer.py:11" in ran.stderr
    assert "--allow-target 192.0.2.7" in ran.stdout + ran.stderr
