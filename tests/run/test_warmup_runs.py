"""Real runs that cannot end well: over shortly after the warm-up, with a verdict that `judge` repeats."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.run.real_runs import TAILGATE, Ran, run, was_busy

pytestmark = [pytest.mark.stack, pytest.mark.beside]

SERVICE = Path(__file__).with_name("failing_service.py")
SCENARIO = """\
name: hopeless
service: {{command: [{python}, {service}, "{{port}}", {way}, "azure={{azure.url}}"]}}
upstreams: {{azure: {{p50: 10ms, p99: 25ms, rows: 10}}}}
gateway: {{kind: none}}
load: {{request: GET /v1/offers, rate: 40/s, timeout: 2s, warmup: 2s, baseline: 60s, recovery: 1s, guard: 1s}}
faults: [{{name: azure-slow, upstream: azure, latency: 500ms, for: 20s}}]
gates: ["p99 < 1s during azure-slow"]
verdict: {{clump: 12ms}}
"""
PLANNED_S = 80


def hopeless(folder: Path, way: str) -> Ran:
    """Run it, see that it was over early, and judge it again."""
    began_s = time.monotonic()
    ran = run(folder, SCENARIO.format(python=sys.executable, service=SERVICE, way=way))
    assert time.monotonic() - began_s < PLANNED_S / 2, "it was not stopped"
    assert ran.run_dir is not None, ran.stderr
    assert ran.results["run"]["stopped"].startswith("the warm-up had shown that the run cannot end well, at ")
    kept = (ran.run_dir / "results.json").read_bytes()
    again = subprocess.run([TAILGATE, "judge", str(ran.run_dir)], check=False, capture_output=True, timeout=60)
    assert again.returncode == ran.code
    assert (ran.run_dir / "results.json").read_bytes() == kept
    return ran


def test_a_service_that_refuses_everything(tmp_path: Path) -> None:
    ran = hopeless(tmp_path, "refuses")
    assert "stopping: every request of the last half of the warm-up failed" in ran.stderr
    if was_busy(ran):  # its few seconds were others': then the service is not blamed
        return
    assert (ran.code, ran.verdict) == (1, "FAIL"), ran.stdout + ran.stderr
    assert "Every request of the last half was answered with 503." in ran.results["why"]


@pytest.mark.nightly
def test_a_service_that_asks_its_fake_for_what_it_does_not_have(tmp_path: Path) -> None:
    """By day test_routed_runs.py has one, with routes of its own."""
    ran = hopeless(tmp_path, "wrong-path")
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    [line] = ran.results["unmatched"]
    assert f"azure has no GET /v2/offers: 404 to {line['calls']:,} calls" in ran.results["reason"]
    assert "GET /offers?cursor=" in ran.results["next"]


def test_requests_that_never_get_an_answer_or_a_call(tmp_path: Path) -> None:
    ran = hopeless(tmp_path, "hangs-up")
    assert (ran.code, ran.verdict) == (4, "RIG_FAILURE"), ran.stdout + ran.stderr
    assert "connection_error" in ran.results["reason"]
