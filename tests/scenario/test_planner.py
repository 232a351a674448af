"""Plans: ports, templates, commands, secrets, requests, default gates. Pure: the same call, the same plan."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.rundir.plan import Plan
from harness.scenario import catalog_names, load_scenario
from harness.scenario.planner import cells, make_plan
from harness.scenario.planning.gateway_choice import ResolvedGateway
from tests.scenario.world import GOOD, LADDER, changed, load, plan_of, write

COMMAND = """\
service:
  command: serve --port {port} --db "x y" ${PASS} {{{azure.address}}
  env: {AZURE: "{azure.url}", GCP: "{gcp.host}:{gcp.port}", T: "{gateway.timeout}", SELF: "{gateway.url}", P: "${PASS}"}
  headers: {Authorization: "Bearer ${PASS}"}
"""


def test_ports_in_order_and_the_gateway_before_the_service(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path), nginx=True)
    assert [(u.name, u.index, u.listener.port, u.origin.port) for u in plan.upstreams] == [
        ("azure", 0, 20000, 20001),
        ("gcp", 1, 20002, 20003),
    ]
    assert (plan.service.port, plan.service.url) == (20004, "http://127.0.0.1:20004")
    assert (plan.gateway.kind, plan.gateway.port, plan.gateway.target) == ("nginx", 20005, "http://127.0.0.1:20005")
    assert plan.gateway.binary == "/usr/sbin/nginx"
    client = plan_of(load(tmp_path))
    assert (client.gateway.kind, client.gateway.port, client.gateway.target) == ("client", None, client.service.url)


def test_a_rung_is_started_with_its_backends_and_deadline(tmp_path: Path) -> None:
    service = plan_of(load(tmp_path)).service
    assert service.argv == (sys.executable, "-P", "-m", "aggregator", "--rung", "timeout", "--port", "20004")
    assert service.env == {
        "AGGREGATOR_BACKENDS": "azure=http://127.0.0.1:20000,gcp=http://127.0.0.1:20002",
        "AGGREGATOR_GATEWAY_TIMEOUT_MS": "5000",
    }


def test_templates_are_filled_and_secrets_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASS", "hunter2-secret")
    plan = plan_of(load(tmp_path, changed(("service: {rung: timeout}\n", COMMAND))), nginx=True)
    assert plan.service.argv == ("serve", "--port", "20004", "--db", "x y", "${PASS}", "{127.0.0.1:20000}")
    assert plan.service.env == {
        "AZURE": "http://127.0.0.1:20000",
        "GCP": "127.0.0.1:20002",
        "T": "5s",
        "SELF": "http://127.0.0.1:20005",
        "P": "${PASS}",
    }
    assert plan.load.requests[0].headers == {"Authorization": "Bearer ${PASS}"}
    assert plan.service.ready_headers == {"Authorization": "Bearer ${PASS}"}
    assert plan.service.cwd == str(tmp_path)
    assert "hunter2" not in plan.model_dump_json()


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, LADDER), nginx=True, seed=7)
    plan.write(tmp_path)
    assert Plan.read(tmp_path) == plan
    assert plan_of(load(tmp_path, LADDER), nginx=True, seed=7) == plan


def test_planning_opens_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a planner opens no socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    plan_of(load(tmp_path, changed(("{rung: timeout}", "{url: http://example.org}"))))


def test_requests_with_their_weights_headers_and_bodies(tmp_path: Path) -> None:
    text = changed(
        (
            "  request: GET /v1/offers\n",
            """\
  headers: {A: "1", B: "{gateway.timeout}"}
  requests:
    - GET /v1/offers
    - {name: search, request: POST /s, json: {gpu: [A100]}, headers: {A: "2"}, weight: 3, asks: [gcp]}
    - {name: raw, request: PUT /r, body: "{literal}", expect: {status: "200,204", contains: ok}, asks: []}
""",
        )
    )
    first, search, raw = plan_of(load(tmp_path, text)).load.requests
    assert (first.name, first.method, first.path, first.asks) == (
        "GET /v1/offers",
        "GET",
        "/v1/offers",
        ("azure", "gcp"),
    )
    assert first.headers == {"A": "1", "B": "5s"}
    assert (search.weight, search.asks, search.body) == (3, ("gcp",), '{"gpu": ["A100"]}')
    assert search.headers == {"A": "2", "B": "5s", "Content-Type": "application/json"}
    assert (raw.body, raw.asks, raw.expect_contains) == ("{literal}", (), "ok")
    assert raw.expect_status == ((200, 200), (204, 204))


def test_default_gates_are_a_floor_for_each_fault(tmp_path: Path) -> None:
    bare = GOOD[: GOOD.index("gates:")]
    plan = plan_of(
        load(tmp_path, changed(("for: 90s}\n", "for: 90s}\n  - {upstream: gcp, hang: true, for: 60s}\n"), text=bare))
    )
    assert [gate.text for gate in plan.gates] == [
        "p99 < gateway.timeout during azure-latency",
        "p99 < gateway.timeout during gcp-hang",
    ]
    assert plan.default_gates
    assert {gate.line for gate in plan.gates} == {0}
    whole = plan_of(load(tmp_path, bare[: bare.index("faults:")]))
    assert [gate.text for gate in whole.gates] == ["p99 < gateway.timeout"]


def test_gates_keep_their_lines(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path))
    assert [(gate.id, gate.line) for gate in plan.gates] == [("g1", 13), ("g2", 14)]
    assert not plan.default_gates


def test_complete_needs_something_to_look_for(tmp_path: Path) -> None:
    assert plan_of(load(tmp_path)).load.complete == "auto"
    text = "name: x\nservice: {url: http://127.0.0.1:1}\nload: {request: GET /, rate: 40/s}\n"
    plan = plan_of(load(tmp_path, text))
    assert (plan.load.complete, plan.load.requests[0].asks, plan.service.argv) == ("none", (), None)
    jmespath = changed(("rate: 40/s", "rate: 40/s\n  complete: {jmespath: 'offers[].backend'}"))
    load_plan = plan_of(load(tmp_path, jmespath)).load
    assert (load_plan.complete, load_plan.complete_jmespath) == ("jmespath", "offers[].backend")


def test_what_nobody_can_prove_is_refused_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, changed(("latency: 60s", "latency: 5ms, name: azure-latency")))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (11, "faults[0].latency")


def test_the_seven_line_scenario_runs(tmp_path: Path) -> None:
    text = """\
name: least
service: {rung: timeout}
upstreams: {azure: {}, gcp: {}}
gateway: {timeout: 10s}
load: {request: GET /v1/offers, rate: 40/s}
faults:
  - {upstream: azure, latency: 60s, for: 90s}
"""
    assert len(text.splitlines()) == 7
    loaded = load(tmp_path, text)
    assert loaded.warnings == ()
    assert [gate.text for gate in plan_of(loaded).gates] == ["p99 < gateway.timeout during azure-latency"]


@pytest.mark.parametrize("name", catalog_names())
def test_the_catalog_is_found_by_name_and_plans(name: str) -> None:
    loaded = load_scenario(name)
    assert loaded.scenario.name == name
    for cell in cells(loaded):
        ports = iter(range(20_000, 20_100))
        plan = make_plan(
            cell.loaded,
            run_id="20260101-000000-abcd",
            seed=loaded.scenario.seed,
            ports=ports.__next__,
            gateway=ResolvedGateway("client"),
            cell=cell.name,
        )
        assert plan.cell == cell.name


def test_a_file_goes_before_a_catalog_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_scenario("ladder").scenario.name == "ladder"
    (tmp_path / "ladder").write_text(GOOD, encoding="utf-8")
    assert load_scenario("ladder").scenario.name == "good"
