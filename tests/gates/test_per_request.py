"""`cpu` and `log`, put to made-up readings of a service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.evidence import Evidence, Pool
from harness.gates.parse import parse_gate
from harness.rundir.finding_kind import FindingKind
from tests.gates.judged import found
from tests.gates.test_resource_gate import LENGTH_S, reading
from tests.rundir.recording import Recording, make_plan, record, slow_fault
from tests.scenario.world import GOOD, changed, load, only_problem, plan_of


def played(
    *, cpu_s: Callable[[float], float] = lambda t: 0.2 * t, keep: Callable[[float], bool] = lambda _: True
) -> Recording:
    """40 requests and 4 kB of log a second; `cpu_s`: processor seconds used by a moment, in seconds from t = 0."""
    plan = make_plan(faults=[slow_fault()], gates=["cpu < 1s"], duration_ms=LENGTH_S * 1000)
    made = record(plan, policy="timeout")
    seconds = [second + 0.5 for second in range(-2, LENGTH_S + 5)]
    made.resources = [
        reading(second, cpu_s=10 + cpu_s(second), log_bytes=round(100_000 + 4_000 * second))
        for second in seconds
        if keep(second)
    ]
    return made


@pytest.mark.parametrize(
    ("text", "observed", "expected"),
    [
        ("cpu < 6ms", 5.0, "pass"),
        ("cpu < 4ms", 5.0, "fail"),
        ("log < 110B", 100.0, "pass"),
        ("log < 90B during baseline", 100.0, "fail"),
        ("cpu < 1.3x baseline during azure-slow", 5.0, "pass"),
    ],
)
def test_the_total_is_divided_by_the_requests_that_ended(
    text: str, observed: float, expected: str, tmp_path: Path
) -> None:
    finding = found(text, played(), tmp_path)
    assert (finding.verdict, finding.unit) == (expected, "ms" if text.startswith("cpu") else "bytes")
    assert finding.observed == pytest.approx(observed, rel=0.1)


def test_a_service_that_works_more_during_a_fault(tmp_path: Path) -> None:
    made = played(cpu_s=lambda t: 0.2 * t + 0.3 * max(0.0, min(t, 97.0) - 35.0))
    finding = found("cpu < 1.5x baseline during azure-slow", made, tmp_path)
    assert (finding.verdict, finding.kind) == ("fail", FindingKind.EXCEEDED)
    assert "of processor time for each of" in finding.reason
    assert "1.5 times the baseline's" in finding.reason


def test_missing_readings_cost_nothing_as_long_as_five_are_left(tmp_path: Path) -> None:
    sparse = found("cpu < 6ms during azure-slow", played(keep=lambda t: t % 10 == 0.5), tmp_path / "sparse")
    assert sparse.verdict == "pass"
    assert sparse.observed == pytest.approx(5.0, rel=0.1)
    few = found("cpu < 6ms during azure-slow", played(keep=lambda t: t % 20 == 0.5), tmp_path / "few")
    assert (few.verdict, few.kind) == ("inconclusive", FindingKind.NO_READINGS)
    assert "3 readings of the service's cpu; 5 are needed" in few.reason


def test_a_counter_that_fell_shows_no_pass_and_can_show_a_fail(tmp_path: Path) -> None:
    made = played(cpu_s=lambda t: 0.2 * t if t < 60 else 0.2 * (t - 60))
    passed = found("cpu < 6ms", made, tmp_path / "pass")
    assert passed.verdict == "inconclusive"
    assert "a process of the service ended" in passed.reason
    assert found("cpu < 3ms", made, tmp_path / "fail").verdict == "fail"


def test_late_seconds_are_left_out_on_both_sides(tmp_path: Path) -> None:
    made = played(cpu_s=lambda t: 0.2 * t + (30.0 if t > 20 else 0.0))  # the burst after the load generator was late
    run = Evidence.load(made.write(tmp_path))
    gate = parse_gate("cpu < 6ms")
    assert gate.judge(Pool.of(run), alpha_fail=0.05).verdict == "fail"
    clean = gate.judge(Pool.of(run.without(frozenset({19, 20}))), alpha_fail=0.05)
    assert clean.verdict == "pass"
    assert clean.observed == pytest.approx(5.0, rel=0.1)


def test_runs_are_pooled_by_their_totals(tmp_path: Path) -> None:
    runs = []
    for number, factor in enumerate((0.2, 0.4)):
        made = played(cpu_s=lambda t, factor=factor: factor * t)  # type: ignore[misc]
        made.plan = made.plan.model_copy(update={"run_id": f"20250102-030405-000{number}"})
        runs.append(Evidence.load(made.write(tmp_path / str(number))))
    finding = parse_gate("cpu < 8ms").judge(Pool.of(*runs), alpha_fail=0.05)
    assert finding.verdict == "pass"
    assert finding.observed == pytest.approx(7.5, rel=0.1)


def test_an_older_record_and_a_stopped_run_decide_nothing(tmp_path: Path) -> None:
    made = played()
    made.resources = [{key: line[key] for key in line if key != "log_bytes"} for line in made.resources]
    assert "is not in the run's records" in found("log < 1kB", made, tmp_path / "old").reason
    stopped = found("cpu < 6ms", played().stopped(60_000, "interrupted"), tmp_path / "stopped")
    assert (stopped.verdict, stopped.kind) == ("inconclusive", FindingKind.STOPPED)


def test_what_they_need_of_a_scenario(tmp_path: Path) -> None:
    gates = ("cpu < 5ms during azure-latency", "log < 1.5x baseline after azure-latency")
    plan = plan_of(load(tmp_path, GOOD + "".join(f"  - {gate}\n" for gate in gates)))
    assert [gate.text for gate in plan.gates[2:]] == list(gates)
    short = changed(("rate: 40/s", "rate: 40/s\n  baseline: 7s")) + "  - cpu < 2x baseline\n"
    problem = only_problem(tmp_path, short)
    assert "5 readings of the service need 10s" in problem.message
    assert "load.baseline: 10s" in problem.fix
