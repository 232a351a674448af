"""Whom a service names, from its log and its alert to the verdict: real processes, short runs."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.rundir.detections import Detection, DetectionGap, Mention, Recorded, read_detections
from harness.text import is_sanitized
from tests.run.real_runs import TAILGATE, Ran, run

pytestmark = [pytest.mark.stack, pytest.mark.beside]

SERVICE = str(Path(__file__).with_name("naming_service.py"))
UPSTREAMS = """\
upstreams:
  azure: {p50: 10ms, p99: 25ms, rows: 10}
  gcp: {p50: 10ms, p99: 25ms, rows: 10}
gateway: {timeout: 2s}
load: {request: GET /v1/offers, rate: 10/s, warmup: 500ms, baseline: 4s, recovery: RECOVERY, guard: 1s}
faults: [{name: azure-slow, upstream: azure, hang: true, for: 7s}]
"""


def scenario(way: str, gates: str, alerts: str = "") -> str:
    command = f"{shlex.quote(sys.executable)} {shlex.quote(SERVICE)} {{port}} {way} azure={{azure.url}} gcp={{gcp.url}}"
    service = f"service: {{command: {json.dumps(command)}{f', alerts: {alerts}' if alerts else ''}}}\n"
    return f"name: naming\n{service}{upstreams(gates)}gates: [{gates}]\n"


def upstreams(gates: str) -> str:
    return UPSTREAMS.replace("RECOVERY", "10s" if "cleared" in gates else "1s")


def gate(ran: Ran, number: int = 0) -> dict[str, Any]:
    assert ran.run_dir is not None, ran.stderr
    found = ran.results["gates"][number]
    assert isinstance(found, dict)
    return found


def told(ran: Ran) -> list[Recorded]:
    assert ran.run_dir is not None
    return list(read_detections(ran.run_dir / "notices.ndjson"))


def test_a_service_that_names_the_failing_one(tmp_path: Path) -> None:
    gates = "named azure within 5s, cleared within 5s after azure-slow"
    ran = run(tmp_path, scenario("right", gates, "GET /metrics offers_degraded"))
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout
    assert 300 < gate(ran)["observed"] < 5_000, "it gives up after 400 ms"
    named = {entry["source"]: entry for entry in ran.results["faults"][0]["named"]}
    assert set(named) == {"log", "alert"}
    assert "ERROR offers: azure did not answer" in named["log"]["text"]
    assert not any(entry["healthy"] for entry in named.values())
    assert 0 <= named["alert"]["cleared_after_ms"] < 5_000
    assert "named by its log after" in " ".join(ran.stdout.split())
    assert {line.state for line in told(ran) if isinstance(line, Detection)} == {"raised", "normal"}
    html = (ran.run_dir / "report.html").read_text(encoding="utf-8") if ran.run_dir else ""
    assert "named by its alert after" in html
    assert ran.run_dir is not None
    before = (ran.run_dir / "results.json").read_bytes()
    subprocess.run([TAILGATE, "judge", str(ran.run_dir)], check=True, capture_output=True, timeout=60)
    assert (ran.run_dir / "results.json").read_bytes() == before


@pytest.mark.nightly  # by day tests/gates decides on such detections
def test_one_that_blames_a_healthy_one(tmp_path: Path) -> None:
    ran = run(tmp_path, scenario("wrong", "named azure within 5s, p50 < 10s"))
    assert (ran.code, ran.verdict) == (1, "FAIL"), ran.stdout
    assert "gcp was healthy and was named" in gate(ran)["reason"]
    assert "by its log: " in gate(ran)["reason"]
    assert "Name only the backend" in ran.results["next"]


@pytest.mark.nightly
def test_one_that_says_nothing(tmp_path: Path) -> None:
    """By day one that blames a healthy one fails the same gate."""
    gates = "named azure within 5s, cleared within 5s after azure-slow"
    ran = run(tmp_path, scenario("silent", gates, "GET /metrics offers_degraded"))
    assert (ran.code, ran.verdict) == (1, "FAIL"), ran.stdout
    assert "azure was not named while azure-slow was active" in gate(ran)["reason"]
    assert "lines contained `azure` at INFO, without a known level" in gate(ran)["reason"]
    assert gate(ran, 1)["verdict"] == "inconclusive", "nothing was raised"
    assert {type(line) for line in told(ran)} == {Mention}


@pytest.mark.nightly
def test_a_rung_of_the_aggregator(tmp_path: Path) -> None:
    """By day a service of this folder names the failing one."""
    gates = "named azure within 4s"
    ran = run(tmp_path, f"name: naming\nservice: {{rung: timeout}}\n{upstreams(gates)}gates: [{gates}]\n")
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout
    assert any(entry["source"] == "log" for entry in ran.results["faults"][0]["named"])


@pytest.mark.nightly
def test_the_whole_ladder_names_the_backend_and_is_silent_soon_after(tmp_path: Path) -> None:
    """The breaker is open when the fault ends, so a probe must find that out before the alert can be cleared."""
    gates = "named azure within 5s, cleared within 20s after azure-slow"
    shared = upstreams(gates).replace("recovery: 10s", "recovery: 25s")
    ran = run(tmp_path, f"name: naming\nservice: {{rung: isolated}}\n{shared}gates: [{gates}]\n")
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout
    assert 0 < gate(ran)["observed"] < 5_000
    assert 0 < gate(ran, 1)["observed"] < 20_000
    named = {entry["source"]: entry for entry in ran.results["faults"][0]["named"]}
    assert set(named) == {"log", "alert"}
    assert not any(entry["healthy"] for entry in named.values())
    assert ran.results["false_alarms"] == []


@pytest.mark.nightly  # by day tests/stack and tests/hostile read such texts without a whole run
def test_texts_that_want_to_act(tmp_path: Path) -> None:
    ran = run(tmp_path, scenario("hostile", "named azure within 5s"))
    assert ran.verdict == "PASS", ran.stdout
    texts = [line.text for line in told(ran)]
    assert texts
    assert all(is_sanitized(text) and "\n" not in text and len(text) <= 300 for text in texts)
    assert is_sanitized(ran.stdout)
    html = (ran.run_dir / "report.html").read_text(encoding="utf-8") if ran.run_dir else ""
    assert "<script>alert(1)" not in html
    assert "<img src=x" not in html


@pytest.mark.nightly
def test_a_flood_is_skipped_and_told(tmp_path: Path) -> None:
    """By day floods are read from files: tests/stack/test_detections.py."""
    ran = run(tmp_path, scenario("floods", "named azure within 5s"))
    assert ran.code in (0, 3), ran.stdout
    assert all(check["ok"] for check in ran.results["validity"])
    skipped = [line for line in told(ran) if isinstance(line, DetectionGap)]
    assert sum(line.skipped_bytes for line in skipped) > 4_000_000


@pytest.mark.nightly  # by day tests/stack/test_program_text.py reads them without a whole run
@pytest.mark.parametrize("way", ["rich", "json"])
def test_the_text_of_a_program_names_nobody(tmp_path: Path, way: str) -> None:
    """Each failure logs a traceback whose source holds `lambda` and `import`, which are healthy upstreams here."""
    urls = " ".join(f"{name}={{{name}.url}}" for name in ("azure", "lambda", "import"))
    command = f"{shlex.quote(sys.executable)} {shlex.quote(SERVICE)} {{port}} {way} {urls}"
    others = "  lambda: {p50: 10ms, p99: 25ms, rows: 10}\n  import: {p50: 10ms, p99: 25ms, rows: 10}"
    shared = upstreams("").replace("  gcp: {p50: 10ms, p99: 25ms, rows: 10}", others)
    shared = shared.replace("rate: 10/s", "rate: 3/s")  # a traceback takes as much time as many requests
    service = f"service: {{command: {json.dumps(command)}}}\n"
    ran = run(tmp_path, f"name: naming\n{service}{shared}gates: [named azure within 5s]\n")
    assert (ran.code, ran.verdict) == (0, "PASS"), ran.stdout
    assert ran.run_dir is not None
    log = (ran.run_dir / "logs" / "sut.log").read_text(encoding="utf-8")
    assert "lambda i: i.price" in log.replace("\n", " ")
    assert {line.upstream for line in told(ran) if isinstance(line, Detection)} == {"azure"}
    assert ran.results["false_alarms"] == []
