"""The plan of one load: its rate, its faults, and the gates that judge it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.rundir.phases import planned_phases
from harness.rundir.plan import LoadPlan, Plan
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
from harness.search.capacity import RateLoads, Settings
from harness.search.level_search import WantedLoad
from harness.search.load_plans import (
    fault_gates,
    health_gates,
    load_plan,
    not_judged,
    refuse_unsearchable,
    search_notes,
)

SCENARIO = """\
name: slow
service: {rung: timeout}
upstreams: {azure: {}}
gateway: {timeout: 5s}
load: {request: GET /offers, rate: 40/s, baseline: 60s, recovery: 60s}
faults: [{upstream: azure, latency: 60s, for: 90s}]
gates: [GATES]
"""


def planned(tmp_path: Path, gates: str, *sets: str) -> Plan:
    (tmp_path / "scenario.yaml").write_text(SCENARIO.replace("GATES", gates))
    plan, _ = dry_plan(load_scenario(tmp_path / "scenario.yaml", sets).checked)
    return plan.model_copy(update={"most_in_flight": 1_000})


def at(base: Plan, rate_per_s: float, fault: str | None = None, **options: float) -> LoadPlan:
    return load_plan(
        base, run_id="20260101-000000-0001", rate_per_s=rate_per_s, settle_ms=5_000, judged_ms=12_000,
        gates=health_gates(base).gates, fault=fault, confidence=options.get("confidence"), first_seq=7, seed=3,
    )  # fmt: skip


def texts(gates: object) -> list[str]:
    return [gate.text for gate in gates.gates]  # type: ignore[attr-defined]


def test_health_is_judged_by_the_gates_on_whole_and_baseline(tmp_path: Path) -> None:
    plan = planned(tmp_path, "p99 < 2s, errors < 1% during baseline, p99 < 4s during azure-latency")
    assert texts(health_gates(plan)) == ["p99 < 2s", "errors < 1%"]
    assert not health_gates(plan).borrowed
    assert texts(fault_gates(plan, "azure-latency")) == ["p99 < 4s"]


def test_each_borrows_the_gates_of_the_other_if_it_has_none(tmp_path: Path) -> None:
    only_fault = planned(tmp_path, "p99 < 4s during azure-latency, p99 < gateway.timeout during azure-latency")
    assert texts(health_gates(only_fault)) == ["p99 < 4s", "p99 < gateway.timeout"]
    assert health_gates(only_fault).borrowed
    only_health = planned(tmp_path, "p99 < 2s")
    assert texts(fault_gates(only_health, "azure-latency")) == ["p99 < 2s"]
    assert fault_gates(only_health, "azure-latency").borrowed


def test_a_fault_without_gates_borrows_what_health_borrows(tmp_path: Path) -> None:
    """The only gate is on another fault; without one, every load would hold."""
    plan = planned(tmp_path, "p99 < 4s during azure-latency")
    other = plan.faults[0].model_copy(update={"name": "azure-other"})
    gates = fault_gates(plan.model_copy(update={"faults": (*plan.faults, other)}), "azure-other")
    assert (texts(gates), gates.borrowed) == (["p99 < 4s"], True)


def test_a_scenario_without_gates_says_what_it_is_judged_by(tmp_path: Path) -> None:
    text = SCENARIO.replace("gates: [GATES]\n", "")
    (tmp_path / "scenario.yaml").write_text(text)
    plan, _ = dry_plan(load_scenario(tmp_path / "scenario.yaml").checked)
    assert not health_gates(plan).borrowed
    assert search_notes(plan, (None,), None) == [
        "the scenario has no gates, so `p99 < gateway.timeout` is judged: a floor, not a service level"
    ]


def test_a_gate_whose_limit_is_a_rate_is_judged_at_one_rate_only(tmp_path: Path) -> None:
    plan = planned(tmp_path, "p99 < 2s, throughput > 39/s")
    assert texts(health_gates(plan)) == ["p99 < 2s"]
    assert not_judged(plan, rates_vary=True) == {
        "throughput > 39/s": "its limit is a rate, and the search changes the rate"
    }
    assert not_judged(plan) == {}


def test_a_load_between_others_is_as_long_as_its_gates_need(tmp_path: Path) -> None:
    settings = Settings(40, None, within=0.1, refute_ms=60_000, soak_ms=120_000, alpha=0.05)
    short = RateLoads(planned(tmp_path, "p99 < 2s"), None, settings)
    long = RateLoads(planned(tmp_path, "p99 < 2s, cpu < 50ms"), None, settings)
    lengths = [each.spec(WantedLoad("explore", 40), "return").judged_ms for each in (short, long)]
    assert lengths == [4_000, 10_000]
    assert long.times.return_ms == 15_000


def test_what_no_load_at_one_rate_can_judge_is_listed_with_its_reason(tmp_path: Path) -> None:
    gates = "p99 < 2s, recovery < 15s after azure-latency, p99 < 1.5x baseline during azure-latency"
    left = not_judged(planned(tmp_path, gates))
    assert list(left) == gates.split(", ")[1:]
    assert "compares with the baseline" in left["p99 < 1.5x baseline during azure-latency"]


def test_a_load_is_the_scenarios_at_another_rate(tmp_path: Path) -> None:
    base = planned(tmp_path, "p99 < 2s")
    load = at(base, 100)
    assert load.load.requests == base.load.requests
    assert [(stage.start_per_s, stage.end_per_s, stage.duration_ms) for stage in load.load.schedule.stages] == [  # type: ignore[union-attr]
        (100, 100, 17_000)
    ]
    assert (load.load.warmup_ms, load.load.duration_ms, load.load.first_seq, load.seed) == (5_000, 12_000, 7, 3)
    assert load.load.max_in_flight == 1_000 == base.most_in_flight, "100/s for 10 s with headroom need 1,250"
    assert load.load.slots_cut
    assert not at(base, 20).load.slots_cut
    assert at(base, 20, confidence=0.975).verdict.confidence == 0.975
    assert load.verdict == base.verdict


def test_a_fault_stands_from_before_the_judged_part_until_its_last_request_has_ended(tmp_path: Path) -> None:
    base = planned(tmp_path, "p99 < 2s")
    load = at(base, 20, "azure-latency")
    (fault,) = load.faults
    (window,) = fault.windows
    assert window.apply_ms == -2_500
    assert window.remove_ms == 12_000 + base.load.drain_ms
    plan = Plan.of(base.stack, load)
    phases = {phase.name: phase for phase in planned_phases(plan)}
    assert phases["whole"].intervals == ((0.0, 12_000.0),)
    assert at(base, 20).faults == ()


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (("load.rate=null", "load.users=5"), "has `users`"),
        (("gates=['recovery < 15s after azure-latency']",), "no gate of this scenario can be judged"),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path: Path, sets: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        refuse_unsearchable(planned(tmp_path, "p99 < 2s", *sets))


def test_gates_that_depend_on_how_many_requests_there_are_are_not_judged(tmp_path: Path) -> None:
    left = not_judged(planned(tmp_path, "p99 < 2s, max < 5s, errors = 0"))
    assert list(left) == ["max < 5s", "errors = 0"]
    assert all("depends on" in reason for reason in left.values())


STREAMS = """\
name: slow
service: {rung: timeout}
upstreams: {azure: {}}
gateway: {timeout: 5s}
load:
  rate: 30/s
  requests:
    - GET /a
    - {name: storm, request: GET /b, stages: [{rate: 0/s, for: 50s}, {rate: 10/s, for: 50s}]}
    - {name: c, request: GET /c}
gates: [p99 < 2s]
"""


def test_streams_scale_alike_by_their_highest_rates(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(STREAMS)
    base, _ = dry_plan(load_scenario(tmp_path / "scenario.yaml", ()).checked)
    base = base.model_copy(update={"most_in_flight": 1_000})
    refuse_unsearchable(base)
    load = at(base, 100).load
    found = {
        stream.name: [(stage.start_per_s, stage.end_per_s, stage.duration_ms) for stage in stream.schedule.stages]
        for stream in load.streams
    }
    assert found == {"": [(75, 75, 17_000)], "storm": [(25, 25, 17_000)]}
    assert {stream.schedule.start_ms for stream in load.streams} == {-5_000}
    assert [request.weight for request in load.requests] == [request.weight for request in base.load.requests]
    assert load.max_in_flight == 1_000, "the slots are those of all streams together"


def test_a_load_whose_requests_all_have_rates_can_be_searched(tmp_path: Path) -> None:
    base = planned(tmp_path, "p99 < 2s", "load.rate=null", "load.request={request: GET /offers, rate: 8/s}")
    refuse_unsearchable(base)
    (stream,) = at(base, 70).load.streams
    assert (stream.name, stream.schedule.stages[0].start_per_s) == ("GET /offers", 70)


def test_what_a_gate_is_about_is_recorded_in_its_loads(tmp_path: Path) -> None:
    base = planned(tmp_path, "p99(ttfb) < 2s, metric aggregator_requests_total < 2")
    load = at(base, 20)
    assert load.times_first_byte and load.metrics == base.metrics != ()
    assert not at(planned(tmp_path, "p99 < 2s"), 20).times_first_byte
