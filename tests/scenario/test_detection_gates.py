"""What `named` and `cleared` gates and `service.alerts` need of a scenario, and what they plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario.world import GOOD, changed, load, only_problem, plan_of

BY_URL = changed(
    ("{rung: timeout}", "{url: 'http://127.0.0.1:8000'}"),
    ("azure: {p50: 60ms, p99: 140ms}", "azure: {port: 19001}"),
    ("gcp: {}", "gcp: {port: 19002}"),
)


def with_gate(gate: str, text: str = GOOD) -> str:
    return f"{text}  - {gate}\n"


@pytest.mark.parametrize(
    "gate",
    [
        "named azure within 5s",
        "named azure within 5s during azure-latency",
        "cleared within 30s after azure-latency",
    ],
)
def test_what_is_right(gate: str, tmp_path: Path) -> None:
    assert plan_of(load(tmp_path, with_gate(gate))).gates[-1].text == gate


@pytest.mark.parametrize(
    ("gate", "message", "fix"),
    [
        ("named gcp within 5s", "no fault breaks `gcp`", "that a fault breaks"),
        ("named oci within 5s", "there is no upstream `oci`", "`azure`"),
        ("named azure within 5s during gcp-latency", "there is no fault `gcp-latency`", "`azure-latency`"),
        ("named azure within 90s", "lasts 90s, so no detection could be later than 90s", "for: 91s"),
        ("cleared within 30s after gcp-latency", "there is no fault `gcp-latency`", "`azure-latency`"),
    ],
)
def test_what_could_never_be_decided(gate: str, message: str, fix: str, tmp_path: Path) -> None:
    problem = only_problem(tmp_path, with_gate(gate))
    assert message in problem.message
    assert fix in problem.fix


@pytest.mark.parametrize(
    ("timing", "at"), [("warmup: 1s, baseline: 1s, guard: 1s", ""), ("warmup: 3s, duration: 150s", ", at: 1s")]
)
def test_a_fault_that_comes_before_anybody_knows_what_is_said_anyway(timing: str, at: str, tmp_path: Path) -> None:
    soon = changed(("rate: 40/s", f"rate: 40/s, {timing}".replace(", ", "\n  ")), ("for: 90s}", f"for: 90s{at}}}"))
    problem = only_problem(tmp_path, with_gate("named azure within 5s", soon))
    assert "too soon to know which upstreams the service names without a fault" in problem.message
    assert "raise load.baseline or load.warmup" in problem.fix
    assert plan_of(load(tmp_path, with_gate("named azure within 2s", soon)))


def test_a_fault_that_does_not_break_it(tmp_path: Path) -> None:
    other = changed(("gates:", "  - {upstream: gcp, down: true, for: 30s}\ngates:"))
    problem = only_problem(tmp_path, with_gate("named azure within 5s during gcp-down", other))
    assert "`gcp-down` does not break `azure`" in problem.message
    assert "during azure-latency" in problem.fix


@pytest.mark.parametrize("gate", ["named azure within 5s", "cleared within 30s after azure-latency"])
def test_a_service_by_url_needs_an_alert(gate: str, tmp_path: Path) -> None:
    problem = only_problem(tmp_path, with_gate(gate, BY_URL))
    assert "cannot see which upstreams it names" in problem.message
    assert "service: {alerts: GET /metrics" in problem.fix
    with_alerts = changed(("8000'}", "8000', alerts: GET /metrics degraded}"), text=BY_URL)
    service = plan_of(load(tmp_path, with_gate(gate, with_alerts))).service
    assert (service.alerts_path, service.alerts_metric) == ("/metrics", "degraded")


def test_a_rung_has_an_alert_by_itself_and_others_have_none(tmp_path: Path) -> None:
    service = plan_of(load(tmp_path)).service
    assert (service.alerts_path, service.alerts_metric) == ("/metrics", "aggregator_backend_degraded")
    command = changed(("{rung: timeout}", "{command: [serve, '{port}']}"))
    assert plan_of(load(tmp_path, command)).service.alerts_path is None
    own = changed(("{rung: timeout}", "{rung: timeout, alerts: 'GET /m?x=1  job:degraded '}"))
    assert plan_of(load(tmp_path, own)).service.alerts_metric == "job:degraded"


@pytest.mark.parametrize("spelled", ["/metrics degraded", "POST /metrics up", "GET metrics up", "GET /metrics", "7"])
def test_an_alert_that_cannot_be_asked_for(spelled: str, tmp_path: Path) -> None:
    problem = only_problem(tmp_path, changed(("{rung: timeout}", f"{{rung: timeout, alerts: '{spelled}'}}")))
    assert problem.path == "service.alerts"
    assert "GET" in problem.fix


def test_the_load_goes_on_until_it_must_have_cleared(tmp_path: Path) -> None:
    gate = "cleared within 40s after azure-latency"
    plan = plan_of(load(tmp_path, with_gate(gate)))
    assert plan.load.duration_ms - plan.faults[0].windows[-1].remove_ms == 45_000
    problem = only_problem(tmp_path, with_gate(gate, changed(("rate: 40/s", "rate: 40/s\n  recovery: 20s"))))
    assert "goes on for 20s; to decide, this gate needs 45s" in problem.message
    assert problem.fix == "write load.recovery: 45s"


def test_what_clears_is_told_from_what_another_fault_leaves(tmp_path: Path) -> None:
    text = changed(
        ("for: 90s}", "for: 90s, at: 40s}\n  - {upstream: gcp, down: true, for: 60s, at: 60s}"),
        ("rate: 40/s", "rate: 40/s\n  duration: 200s"),
    )
    problem = only_problem(tmp_path, with_gate("cleared within 30s after azure-latency", text))
    assert "overlap" in problem.message
