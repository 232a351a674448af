"""When everything happens: the defaults of the contract, faults in a row, `at`, `every`, recovery, the ladder."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.rundir.phases import planned_phases
from harness.rundir.plan import Plan
from harness.scenario.planning.arrivals import expected_arrivals
from tests.scenario.world import GOOD, LADDER, changed, load, only_problem, plan_of, problems

NO_FAULTS = GOOD[: GOOD.index("faults:")]


def seconds(plan: Plan) -> dict[str, float]:
    return {phase.name: phase.seconds for phase in planned_phases(plan)}


def windows(plan: Plan) -> list[list[tuple[float, float]]]:
    return [[(w.apply_ms / 1000, w.remove_ms / 1000) for w in fault.windows] for fault in plan.faults]


def test_the_ladder_as_it_was_reckoned(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, LADDER).cells[0].loaded)
    assert windows(plan) == [[(6.0, 28.0)]]
    assert plan.faults[0].held_ms == 2000
    assert seconds(plan) == {
        "warmup": 3.0,
        "baseline": 4.0,
        "guard": 2.0,
        "azure-slow": 20.0,
        "tail": 2.0,
        "after azure-slow": 4.0,
        "whole": 32.0,
    }
    phases = {phase.name: phase for phase in planned_phases(plan)}
    assert expected_arrivals(plan.load, phases["azure-slow"]) == 800
    assert plan.load.client_cap_ms == 7000
    assert plan.load.drain_ms == 8000
    assert plan.load.max_in_flight == 350  # 40/s × 7 s × 1.25
    assert plan.guard_ms == 2000


def test_the_defaults_of_the_contract(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path))
    assert seconds(plan) == {
        "warmup": 10.0,
        "baseline": 30.0,
        "guard": 5.0,
        "azure-latency": 85.0,
        "tail": 5.0,
        "after azure-latency": 20.0,
        "whole": 145.0,
    }
    assert (plan.guard_ms, plan.load.client_cap_ms, plan.load.drain_ms) == (5000, 10_000, 11_000)
    assert plan.load.max_in_flight == 500
    assert plan.load.ok == ((200, 399),)
    assert plan.verdict.confidence == 0.95
    assert plan.verdict.clump_ms == 100


def test_without_faults_and_without_gateway(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, changed(("timeout: 5s", "kind: none"), text=NO_FAULTS) + "gates: [p99 < 1s]\n"))
    assert plan.load.duration_ms == 60_000
    assert (plan.load.client_cap_ms, plan.load.drain_ms, plan.guard_ms) == (60_000, 61_000, 5_000)
    assert plan.gateway.timeout_ms is None


@pytest.mark.parametrize(
    ("gate", "seconds_long"),
    [
        ("p99 < 1s during baseline", 60.0),
        ("p99 < 1.5x baseline during azure-latency", 62.0),
        ("recovery < 10s after azure-latency", 60.0),
        ("p99.5 < 1s during baseline", 100.0),
    ],
)
def test_the_baseline_is_longer_where_a_gate_rests_on_it(tmp_path: Path, gate: str, seconds_long: float) -> None:
    plan = plan_of(load(tmp_path, f"{GOOD}  - {gate}\n"))
    assert seconds(plan)["baseline"] == seconds_long


def test_faults_follow_one_another(tmp_path: Path) -> None:
    text = changed(("for: 90s}\n", "for: 90s}\n  - {upstream: gcp, down: true, for: 40s}\n"))
    plan = plan_of(load(tmp_path, text))
    # baseline 30 + guard 5; 90 on; recovery 20 + guard 5; 40 on; recovery 20
    assert windows(plan) == [[(35.0, 125.0)], [(150.0, 190.0)]]
    assert plan.load.duration_ms == 210_000
    assert seconds(plan)["after azure-latency"] == 20.0
    assert seconds(plan)["gcp-down"] == 40.0


def test_at_places_faults_and_the_load_ends_after_the_last(tmp_path: Path) -> None:
    text = changed(
        ("for: 90s}\n", "for: 90s, at: 40s}\n  - {upstream: gcp, hang: true, at: 20s, for: 60s}\n"),
    )
    plan = plan_of(load(tmp_path, text))
    assert windows(plan) == [[(40.0, 130.0)], [(20.0, 80.0)]]
    assert plan.load.duration_ms == 150_000


def test_all_faults_have_at_or_none(tmp_path: Path) -> None:
    text = changed(("for: 90s}\n", "for: 90s, at: 40s}\n  - {upstream: gcp, hang: true, for: 60s}\n"))
    problem = only_problem(tmp_path, text)
    assert (problem.line, problem.message) == (12, "this fault has no `at` and others have one")


def test_every_repeats_a_fault_until_the_load_ends(tmp_path: Path) -> None:
    text = changed(("for: 90s", "for: 4s, every: 20s"), ("rate: 40/s", "rate: 40/s\n  duration: 120s"))
    plan = plan_of(load(tmp_path, text))
    assert windows(plan) == [[(35.0, 39.0), (55.0, 59.0), (75.0, 79.0), (95.0, 99.0)]]
    assert seconds(plan)["azure-latency"] == 59.0  # from the first to the last, less H
    assert plan.load.duration_ms == 120_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("for: 90s", "for: 4s, every: 20s"), ("rate: 40/s", "rate: 40/s\n  duration: 30s")], "was on once"),
        ([("for: 90s", "for: 4s, every: 6s"), ("rate: 40/s", "rate: 40/s\n  duration: 5h")], "2,991 windows"),
        (
            [
                ("for: 90s}\n", "for: 4s, every: 6s}\n  - {upstream: gcp, hang: true, for: 60s}\n"),
                ("rate: 40/s", "rate: 40/s\n  duration: 5m"),
            ],
            "nothing can follow a fault that repeats",
        ),
    ],
)
def test_every_that_cannot_be(tmp_path: Path, changes: list[tuple[str, str]], message: str) -> None:
    assert message in only_problem(tmp_path, changed(*changes)).message


def test_a_recovery_gate_gets_the_load_it_needs(tmp_path: Path) -> None:
    # limit 30 s and five windows of 100 arrivals at 40/s
    plan = plan_of(load(tmp_path, f"{GOOD}  - recovery < 30s after azure-latency\n"))
    assert seconds(plan)["after azure-latency"] == 42.5
    text = changed(("rate: 40/s", "rate: 40/s\n  recovery: 35s")) + "  - recovery < 30s after azure-latency\n"
    problem = only_problem(tmp_path, text)
    assert "to decide, this gate needs 43s at 40/s" in problem.message
    assert problem.fix == "write load.recovery: 43s, or a rate of at least 100/s"


def test_gates_on_what_comes_after_get_their_window(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, f"{GOOD}  - errors < 1% after azure-latency\n"))
    assert seconds(plan)["after azure-latency"] == pytest.approx(50.0)


def test_phases_that_the_plan_leaves_empty(tmp_path: Path) -> None:
    text = changed(("for: 90s", "for: 90s, at: 1s")) + "  - p99 < 1s during baseline\n"
    assert "leaves `baseline` empty" in only_problem(tmp_path, text).message
    text = changed(("rate: 40/s", "rate: 40/s\n  recovery: 0s")) + "  - errors < 1% after azure-latency\n"
    assert "leaves `after azure-latency` empty" in only_problem(tmp_path, text).message


def test_recovery_from_overlapping_faults_cannot_be_told_apart(tmp_path: Path) -> None:
    text = changed(("for: 90s}\n", "for: 90s, at: 70s}\n  - {upstream: gcp, hang: true, at: 90s, for: 60s}\n"))
    problem = only_problem(tmp_path, f"{text}  - recovery < 5s after azure-latency\n")
    assert "`azure-latency` and `gcp-hang` overlap" in problem.message


def test_nothing_can_be_seen_of_a_fault_while_its_backend_is_down(tmp_path: Path) -> None:
    text = changed(("for: 90s}\n", "for: 90s, at: 40s}\n  - {upstream: azure, down: true, at: 50s, for: 60s}\n"))
    assert "no canary could see `azure-latency`" in only_problem(tmp_path, text).message


def test_stages_ramps_and_the_warm_up(tmp_path: Path) -> None:
    text = changed(
        ("rate: 40/s", "stages: [{rate: 40/s, for: 100s}, {rate: 80/s, for: 100s, shape: ramp}]"),
    )
    plan = plan_of(load(tmp_path, text))
    assert plan.load.schedule is not None
    assert [(s.start_per_s, s.end_per_s, s.duration_ms) for s in plan.load.schedule.stages] == [
        (40, 40, 10_000),
        (40, 40, 100_000),
        (40, 80, 100_000),
    ]
    assert plan.load.schedule.start_ms == -10_000
    assert plan.load.duration_ms == 200_000
    assert plan.load.max_in_flight == 1000  # the peak, 80/s
    whole = next(phase for phase in planned_phases(plan) if phase.name == "whole")
    assert expected_arrivals(plan.load, whole) == pytest.approx(40 * 100 + 60 * 100)


def test_a_first_ramp_starts_at_nothing_and_says_so(tmp_path: Path) -> None:
    text = changed(("rate: 40/s", "stages: [{rate: 80/s, for: 3m, shape: ramp}]"))
    assert any("so the warm-up sends nothing" in warning.message for warning in load(tmp_path, text).warnings)


def test_a_closed_model_has_users_and_no_schedule(tmp_path: Path) -> None:
    plan = plan_of(load(tmp_path, changed(("rate: 40/s", "users: 25"))))
    assert (plan.load.model, plan.load.schedule, plan.load.users, plan.load.max_in_flight) == ("closed", None, 25, 25)


def test_runs_that_are_pooled_share_the_window(tmp_path: Path) -> None:
    short = changed(("for: 90s", "for: 20s"))
    assert problems(tmp_path, short)
    assert not problems(tmp_path, f"{short}verdict: {{runs: 3}}\n")


def test_a_service_that_runs_already_gets_no_address_of_an_upstream(tmp_path: Path) -> None:
    text = """\
name: running
service: {url: "http://127.0.0.1:8000"}
upstreams: {azure: {port: 9001}, gcp: {}}
load: {request: GET /offers, rate: 40/s}
"""
    (warning,) = load(tmp_path, text).warnings
    assert "cannot give it the address of `gcp`" in warning.message
    assert warning.fix == "give `gcp` the `port` that the service is configured with"
