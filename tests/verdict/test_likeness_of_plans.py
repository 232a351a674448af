"""Two runs of one scenario are alike, whatever kinds of upstreams it has, also from two checkouts."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import certifi
import pytest

from harness.rundir.plan import Plan
from harness.scenario import load_scenario
from harness.scenario.planner import make_plan
from harness.scenario.planning.gateway_choice import ResolvedGateway
from harness.verdict.likeness import plan_differences

WIDE = """\
name: wide
service:
  command: serve.sh --port {port}
  env: {A: "{a.url}", B: "{b.url}", C: "{c.url}", D: "{d.url}", E: "{e.url}", F: "{f.url}", CA: "{ca}"}
upstreams:
  a: {tls: terminate, routes: {"GET /x/{id}": {json: {id: "{id}"}}, GET /file: {file: body.json}}}
  b: {url: "https://localhost:19443", ca: ca.pem}
  c: {command: "partner.sh --port {port} {port}", env: {OWN: "127.0.0.1:{port}"}}
  d: {command: "redis.sh {port}", protocol: redis}
  e: {url: "postgres://localhost:5432/db"}
  f: {har: recorded.har}
load:
  rate: 10/s
  data: rows.csv
  requests: [{name: ask, request: "GET /x?id={id}", headers: {X-Back: "{a.url}", X-CA: "{ca}"}}]
faults:
  - {upstream: a, latency: 60s, for: 60s}
gates: [p99 < 1s]
"""
HAR = {
    "log": {
        "entries": [
            {
                "time": 5,
                "request": {"method": "GET", "url": "https://partner.example/y"},
                "response": {"status": 200, "content": {"mimeType": "application/json", "text": "{}"}},
            }
        ]
    }
}


def checkout(folder: Path, text: str = WIDE) -> Path:
    folder.mkdir()
    for name in ("serve.sh", "partner.sh", "redis.sh"):
        program = folder / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    (folder / "recorded.har").write_text(json.dumps(HAR))
    (folder / "rows.csv").write_text("id\n1\n")
    (folder / "body.json").write_text("{}")
    (folder / "ca.pem").write_text(Path(certifi.where()).read_text())
    scenario = folder / "wide.yaml"
    scenario.write_text(text)
    return scenario


def planned(scenario: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """As run number `number` plans it: with an id, a folder and ports of its own."""
    monkeypatch.chdir(scenario.parent)
    monkeypatch.setenv("PATH", str(scenario.parent))
    ports = count(20_000 + 1_000 * number)
    return make_plan(
        load_scenario(scenario),
        run_id=f"20260101-00000{number}-beef",
        seed=1,
        ports=lambda: next(ports),
        gateway=ResolvedGateway("nginx", "/usr/sbin/nginx"),
        run_dir=scenario.parent / f"run-{number}",
    )


def test_two_runs_from_one_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = checkout(tmp_path / "main")
    base, head = (planned(scenario, number, monkeypatch) for number in (1, 2))
    assert base != head
    assert plan_differences(base, head) == ()


def test_two_runs_from_two_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, head = (
        planned(checkout(tmp_path / name), number, monkeypatch) for number, name in enumerate(("main", "branch"))
    )
    assert plan_differences(base, head) == ()


@pytest.mark.parametrize(
    ("written", "instead", "path"),
    [
        ("localhost:19443", "localhost:19444", "upstreams.b.forward.port (19443 and 19444)"),
        ("redis.sh {port}", "redis.sh {port} --slow", "upstreams.d.command.argv"),
        ('OWN: "127.0.0.1:{port}"', 'OWN: "127.0.0.1:{port}", MORE: "1"', "upstreams.c.command.env.MORE"),
        ("{json: {id: ", "{json: {also: 1, id: ", "upstreams.a.routes"),
        ("ca: ca.pem", "tls: originate", "upstreams.b.forward.ca (ca.pem and none)"),
        ('X-CA: "{ca}"', 'X-CA: "none"', "load.requests"),
    ],
)
def test_what_a_user_changed_is_a_difference(
    written: str, instead: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert written in WIDE
    base = planned(checkout(tmp_path / "main"), 1, monkeypatch)
    head = planned(checkout(tmp_path / "branch", WIDE.replace(written, instead)), 2, monkeypatch)
    found = plan_differences(base, head)
    assert len(found) == 1
    assert found[0].text.startswith(path)
