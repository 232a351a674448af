"""Which gates judge an upstream that is broken, and which a service without a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.rundir.plan import PlannedGate
from harness.rundir.searches.frontier import FrontierKind
from harness.search.frontier.gates import HEALTHY, LevelGates, level_gates, unjudged
from tests.search.frontier.scenarios import SLOW, cell_of, plan_of

BOTH = f"{SLOW}, {{name: all-slow, upstream: all, latency: 9s, for: 60s}}"


def chosen(
    folder: Path, gates: str, upstream: str = "azure", kind: FrontierKind = "latency", faults: str = SLOW
) -> LevelGates:
    plan = plan_of(cell_of(folder, gates, faults=faults))
    return level_gates(plan, upstream, kind, fault=f"{upstream}-{kind}", recovery_ms=20_000)


def texts(gates: tuple[PlannedGate, ...]) -> list[str]:
    return [gate.text for gate in gates]


def test_the_during_gates_of_a_fault_on_the_upstream_are_what_must_hold(tmp_path: Path) -> None:
    found = chosen(tmp_path, "p99 < 1s, p99 < 4s during azure-latency, complete > 99% during azure-latency")
    assert texts(found.broken) == ["p99 < 4s", "complete > 99%"]
    assert texts(found.healthy) == ["p99 < 1s"]
    assert found.findings == ()


def test_those_of_a_fault_on_it_alone_come_before_those_of_a_fault_on_more(tmp_path: Path) -> None:
    gates = "p99 < 4s during azure-latency, errors < 90% during all-slow"
    assert texts(chosen(tmp_path, gates, faults=BOTH).broken) == ["p99 < 4s"]
    of_other = chosen(tmp_path, gates, "gcp", faults=BOTH)
    assert (texts(of_other.broken), of_other.findings) == (["errors < 90%"], ())


def test_without_any_those_on_the_whole_run_count_and_then_others_are_borrowed(tmp_path: Path) -> None:
    whole = chosen(tmp_path, "p99 < 1s, p99 < 4s during azure-latency", "gcp")
    assert (texts(whole.broken), whole.findings) == (["p99 < 1s"], ())
    health = chosen(tmp_path, "p99 < 1s during baseline, p99 < 4s during azure-latency", "gcp")
    assert (texts(health.broken), health.findings) == (["p99 < 1s"], ("borrowed_gates",))
    other = chosen(tmp_path, "p99 < 4s during azure-latency", "gcp")
    assert (texts(other.broken), other.findings) == (["p99 < 4s"], ("borrowed_gates",))


def test_health_is_not_judged_by_how_often_a_broken_upstream_is_asked(tmp_path: Path) -> None:
    found = chosen(tmp_path, "p99 < 4s during azure-latency, calls to azure < 0.5 during azure-latency")
    assert texts(found.broken) == ["p99 < 4s", "calls to azure < 0.5"]
    assert texts(found.healthy) == ["p99 < 4s"]
    assert chosen(tmp_path, "calls to azure < 0.5 during azure-latency").healthy == (HEALTHY,)


@pytest.mark.parametrize(
    ("gates", "upstream", "text", "findings"),
    [
        ("recovery < 15s after azure-latency, p99 < 1s", "azure", "recovery < 15s after azure-outage", ()),
        ("recovery < 15s after azure-latency", "gcp", "recovery < 15s after gcp-outage", ("borrowed_gates",)),
        ("p99 < 4s during azure-latency", "azure", "recovery < 20s after azure-outage", ("default_recovery",)),
    ],
)
def test_an_outage_is_judged_by_its_recovery_alone(
    tmp_path: Path, gates: str, upstream: str, text: str, findings: tuple[str, ...]
) -> None:
    found = chosen(tmp_path, gates, upstream, "outage")
    assert (texts(found.broken), found.findings) == ([text], findings)


def test_the_shortest_recovery_of_the_upstreams_own_faults_counts(tmp_path: Path) -> None:
    gates = "recovery < 15s after azure-latency, recovery < 9s after all-slow"
    assert texts(chosen(tmp_path, gates, "azure", "outage", BOTH).broken) == ["recovery < 9s after azure-outage"]


def test_a_recovery_gate_is_left_out_only_where_no_outage_is_searched(tmp_path: Path) -> None:
    gates = "p99 < 2s, recovery < 15s after azure-latency, max < 9s"
    plan = plan_of(cell_of(tmp_path, gates))
    of = {kind: level_gates(plan, "azure", kind, fault="x", recovery_ms=20_000) for kind in ("latency", "outage")}
    assert list(unjudged(plan, (of["latency"],))) == ["recovery < 15s after azure-latency", "max < 9s"]
    assert list(unjudged(plan, (of["latency"], of["outage"]))) == ["max < 9s"]


def test_of_two_recovery_gates_the_longer_one_is_said_to_be_left_out_for_the_shorter(tmp_path: Path) -> None:
    gates = "recovery < 15s after azure-latency, recovery < 9s after all-slow, p99 < 1s after all-slow, p99 < 2s"
    plan = plan_of(cell_of(tmp_path, gates, faults=BOTH))
    of = {kind: level_gates(plan, "azure", kind, fault="x", recovery_ms=20_000) for kind in ("latency", "outage")}
    expected = {
        "recovery < 15s after azure-latency": "the outages are judged by the shorter limit of "
        "`recovery < 9s after all-slow`",
        "p99 < 1s after all-slow": "an outage is judged by its recovery alone",
    }
    assert unjudged(plan, (of["outage"],)) == expected == unjudged(plan, (of["latency"], of["outage"]))
    assert "a fault is on for its whole curve" in unjudged(plan, (of["latency"],))["p99 < 1s after all-slow"]


def test_a_shorter_recovery_after_a_fault_on_another_upstream_is_said_to_be_no_demand_on_this_one(
    tmp_path: Path,
) -> None:
    faults = f"{SLOW}, {{upstream: gcp, latency: 9s, for: 60s}}"
    plan = plan_of(
        cell_of(tmp_path, "recovery < 15s after azure-latency, recovery < 9s after gcp-latency", faults=faults)
    )
    outage = level_gates(plan, "azure", "outage", fault="x", recovery_ms=20_000)
    assert unjudged(plan, (outage,)) == {
        "recovery < 9s after gcp-latency": "the outages are judged by `recovery < 15s after azure-latency`, which is "
        "of a fault on their upstream"
    }
