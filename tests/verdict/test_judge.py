"""Whole runs on disk, judged: what a verdict is, and that it is the same whenever it is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness import verdict
from harness.errors import UsageError
from harness.evidence import Evidence, Pool
from harness.rundir.manifest import ProcessExit, RunEnd
from harness.rundir.plan import PlannedVerdict
from harness.rundir.planned.fault import FaultWindow
from harness.rundir.planned.load import PlannedRequest
from harness.rundir.results import GateResult, Results
from harness.rundir.rows import Outcome
from tests.rundir.recording import T0_NS, down_fault, make_plan, record, slow_fault

INCIDENT = (
    "p99 < gateway.timeout during azure-slow",
    "timeouts < 1% during azure-slow",
    "complete > 99% during azure-slow",
)


def gate(results: Results, text: str) -> GateResult:
    return next(gate for gate in results.gates if gate.text == text)


def test_a_service_that_waits_for_all_fails_and_the_slow_backend_is_named(tmp_path: Path) -> None:
    run_dir = record(make_plan(faults=[slow_fault()], gates=INCIDENT), policy="parallel").write(tmp_path)
    results = verdict.write(run_dir)
    assert (results.verdict, results.exit_code) == ("fail", 1)
    p99 = gate(results, INCIDENT[0])
    assert (p99.verdict, p99.observed, p99.censored_at_ms, p99.limit) == ("fail", None, 2_000.0, 2_000.0)
    assert p99.n == p99.exceeded
    assert "azure was the slowest upstream in 100 %" in results.why
    assert "The gateway gave up after 2.00 s on 100 %" in results.why
    assert results.reason.startswith(
        "During azure-slow (azure: latency 60s), p99 reached the 2.00 s gateway timeout: all "
    )
    assert "Give azure a deadline of its own well before the gateway's 2.00 s" in results.next
    assert results.replay == "tailgate run made-up.yaml --seed 7"
    assert results.faults[0].landed
    assert [check.check for check in results.validity if not check.ok] == []


def test_a_service_with_deadlines_passes_and_says_how_long_a_spell_it_withstands(tmp_path: Path) -> None:
    run_dir = record(make_plan(faults=[slow_fault()], gates=INCIDENT), policy="timeout").write(tmp_path)
    results = verdict.write(run_dir)
    assert (results.verdict, results.exit_code) == ("pass", 0)
    assert gate(results, INCIDENT[0]).withstands_ms == pytest.approx(201, abs=1)
    assert "slow spells last 201 ms or less" in results.why


def test_judging_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    run_dir = record(make_plan(faults=[slow_fault()], gates=INCIDENT)).write(tmp_path)
    verdict.write(run_dir)
    first = (run_dir / "results.json").read_bytes()
    verdict.write(run_dir)
    assert (run_dir / "results.json").read_bytes() == first
    assert Results.model_validate_json(first).kind == "run"
    assert str(tmp_path) not in first.decode()
    assert "Infinity" not in first.decode()
    assert "NaN" not in first.decode()


def test_one_undecided_gate_makes_the_run_inconclusive(tmp_path: Path) -> None:
    plan = make_plan(gates=["p99 < 1s", "p99.9 < 1s"])
    results = verdict.judge(Evidence.load(record(plan).write(tmp_path)))
    assert [one.verdict for one in results.gates] == ["pass", "inconclusive", "pass"]
    assert (results.verdict, results.exit_code) == ("inconclusive", 3)
    assert "300s" in results.next or "5m" in results.next


def test_inconclusive_may_only_warn(tmp_path: Path) -> None:
    plan = make_plan(gates=["p99.9 < 1s"], verdict=PlannedVerdict(inconclusive="warn"))
    results = verdict.judge(Evidence.load(record(plan).write(tmp_path)))
    assert (results.verdict, results.exit_code) == ("inconclusive", 0)
    assert "warn" in results.why


def test_several_runs_decide_together_what_one_cannot(tmp_path: Path) -> None:
    plan = make_plan(duration_ms=20_000, gates=["p99 < 1s"])
    runs = [
        record(plan.model_copy(update={"seed": seed, "run_id": f"20250102-030405-000{seed}"}), seed=seed).write(
            tmp_path / f"run-{seed}"
        )
        for seed in (1, 2, 3)
    ]
    assert verdict.write(runs[0]).verdict == "inconclusive"
    pooled = verdict.write_any(tmp_path)
    assert pooled.verdict == "pass"
    assert pooled.gates[0].n == sum(len(Evidence.load(run).window("whole").samples) for run in runs)
    assert json.loads((tmp_path / "results.json").read_bytes())["verdict"] == "pass"


def test_runs_of_different_scenarios_are_not_pooled(tmp_path: Path) -> None:
    one = record(make_plan()).write(tmp_path / "one")
    other = record(make_plan().model_copy(update={"scenario_sha256": "1" * 64})).write(tmp_path / "other")
    with pytest.raises(UsageError, match="another scenario"):
        Pool.of(Evidence.load(one), Evidence.load(other))


@pytest.mark.parametrize("what", ["nothing", "a plan that is none"])
def test_a_directory_that_is_no_run_is_a_usage_error(tmp_path: Path, what: str) -> None:
    if what != "nothing":
        record(make_plan()).write(tmp_path)
        (tmp_path / "plan.json").write_text('{"schema_version": 2}')
    with pytest.raises(UsageError):
        verdict.write(tmp_path)


def test_anything_but_ok_is_infinitely_slow(tmp_path: Path) -> None:
    """3 % that fail within a millisecond: the p99 of the successes is fine, the service is not."""
    made = record(make_plan(gates=["p99 < 1s", "p99(ok) < 1s", "http_error < 10%"]))
    failed = made.samples["seq"] % 33 == 0
    made.samples["outcome"][failed], made.samples["status"][failed] = Outcome.HTTP_ERROR, 500
    made.samples["done_ns"][failed] = made.samples["intended_ns"][failed] + 1_000_000
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert [one.verdict for one in results.gates[:3]] == ["fail", "pass", "pass"]
    assert "3.03 %" in gate(results, "p99 < 1s").reason


def test_dropped_requests_count_against_the_service(tmp_path: Path) -> None:
    made = record(make_plan(gates=["errors < 1%", "dropped < 1%"]))
    dropped = made.samples["seq"] % 20 == 0
    made.samples["outcome"][dropped] = Outcome.DROPPED
    made.samples["done_ns"][dropped] = made.samples["sent_ns"][dropped]
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert [one.verdict for one in results.gates[:2]] == ["fail", "fail"]


def test_completeness_excuses_only_the_faulted_upstream(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()], gates=["complete > 99% during azure-slow"]), policy="timeout")
    assert verdict.judge(Evidence.load(made.write(tmp_path / "azure"))).verdict == "pass"
    made.samples["answered"] &= ~np.uint64(1 << made.plan.upstream("gcp").index)
    assert verdict.judge(Evidence.load(made.write(tmp_path / "gcp"))).verdict == "fail"


def test_an_upstream_that_was_not_asked_need_not_answer(tmp_path: Path) -> None:
    requests = [
        PlannedRequest(name="all", method="GET", path="/", asks=("azure", "gcp"), weight=1),
        PlannedRequest(name="by-gcp", method="GET", path="/?b=gcp", asks=("gcp",), weight=3),
    ]
    gates = ["complete > 99%", "calls to azure for by-gcp < 0.01", "calls for all < 2.5", "p99 for by-gcp < 1s"]
    plan = make_plan(upstreams=("azure", "gcp"), requests=requests, gates=gates)
    made = record(plan)
    results = verdict.judge(Evidence.load(made.write(tmp_path / "pushdown")))
    assert [one.verdict for one in results.gates[:4]] == ["pass"] * 4
    assert gate(results, "calls to azure for by-gcp < 0.01").observed == 0.0
    # the same service without push-down: azure is asked by every request
    extra = made.calls[made.calls["upstream"] == 1].copy()
    extra["upstream"] = 0
    made.calls = np.concatenate([made.calls[made.calls["upstream"] == 1], extra])
    results = verdict.judge(Evidence.load(made.write(tmp_path / "without")))
    assert gate(results, "calls to azure for by-gcp < 0.01").verdict == "fail"
    assert "push the filter down" in results.next


def test_calls_are_counted_although_the_service_drops_the_headers(tmp_path: Path) -> None:
    plan = make_plan(gates=["calls < 3.5", "calls to azure < 0.01", "p99 of gcp < 1s"])
    made = record(plan)
    made.calls["seq"] = 2**64 - 1
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert [one.verdict for one in results.gates[:3]] == ["pass", "fail", "inconclusive"]
    assert gate(results, "calls < 3.5").observed == pytest.approx(3.0, abs=0.02)
    assert (results.correlation.mode, results.correlation.joined_share) == ("none", 0.0)
    assert all(upstream.slowest_share is None for upstream in results.upstreams)


def test_a_bystander_has_a_latency_of_its_own(tmp_path: Path) -> None:
    gates = ["p99 of gcp < 500ms during azure-slow", "p99 of azure < 500ms during azure-slow"]
    made = record(make_plan(faults=[slow_fault()], gates=gates), policy="timeout")
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert [one.verdict for one in results.gates[:2]] == ["pass", "fail"]
    # the backend itself answered within 150 ms; the rest was injected, and ended with the service's deadline
    assert gate(results, gates[1]).observed == pytest.approx(1_001, abs=2)


def test_ratio_to_the_baseline(tmp_path: Path) -> None:
    fault = slow_fault(apply_ms=65_000, remove_ms=127_000, delay_ms=300, held_ms=300)
    gates = [f"p99 < {factor} x baseline during azure-slow" for factor in (1.5, 2.6, 10)]
    plan = make_plan(faults=[fault], gates=gates, duration_ms=140_000)
    results = verdict.judge(Evidence.load(record(plan).write(tmp_path)))
    assert [one.verdict for one in results.gates[:3]] == ["fail", "inconclusive", "pass"]
    observed = results.gates[0].observed
    assert observed is not None
    assert observed > 400


def test_ratio_to_main_needs_its_file(tmp_path: Path) -> None:
    plan = make_plan(gates=["p99 < 1.5 x main"])
    run_dir = record(plan).write(tmp_path / "head")
    results = verdict.write(run_dir)
    assert results.gates[0].reason == "a comparison with main needs --baseline FILE"
    base = record(plan, seed=2).write(tmp_path / "base")
    verdict.write(base)
    (run_dir / "main.json").write_bytes((base / "baseline.json").read_bytes())
    assert verdict.write(run_dir).verdict == "pass"
    (run_dir / "main.json").write_text("{}")
    assert "not a baseline file" in verdict.write(run_dir).gates[0].reason


def test_throughput(tmp_path: Path) -> None:
    made = record(make_plan(gates=["throughput > 35/s", "throughput > 45/s", "throughput > 40/s"]))
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert [one.verdict for one in results.gates[:3]] == ["pass", "fail", "inconclusive"]


def recovering(
    tmp_path: Path,
    *,
    slow_for_ms: float,
    limit: str = "15s",
    load_ms: float = 140_000,
    slower_ms: float = 500,
    usual_ms: float | None = None,
) -> Results:
    """A service that stays slow for a while after the fault of 35 to 95 s is gone. `usual_ms`: how long every request
    takes otherwise; None: as recorded."""
    gates = [f"recovery < {limit} after azure-down"]
    made = record(make_plan(faults=[down_fault()], gates=gates, duration_ms=load_ms))
    t_ms = (made.samples["intended_ns"] - T0_NS) / 1e6
    if usual_ms is not None:
        made.samples["done_ns"] = made.samples["intended_ns"] + round(usual_ms * 1e6)
    made.samples["done_ns"][(t_ms >= 95_000) & (t_ms < 95_000 + slow_for_ms)] += round(slower_ms * 1e6)
    return verdict.judge(Evidence.load(made.write(tmp_path)))


def test_recovery_is_the_time_of_the_first_of_five_good_windows(tmp_path: Path) -> None:
    results = recovering(tmp_path, slow_for_ms=7_000)
    assert results.verdict == "pass"
    # windows last 100 arrivals: 2.5 s; the third is still partly slow
    assert results.gates[0].observed == pytest.approx(7_500, rel=0.1)


def test_recovery_too_late_fails(tmp_path: Path) -> None:
    results = recovering(tmp_path, slow_for_ms=20_000)
    assert results.verdict == "fail"
    assert "back after" in results.gates[0].reason
    assert "still holds" in results.next


def test_a_service_that_never_comes_back_is_metastable(tmp_path: Path) -> None:
    results = recovering(tmp_path, slow_for_ms=999_000)
    assert results.verdict == "fail"
    assert "metastable" in results.gates[0].reason


@pytest.mark.parametrize(
    ("usual_ms", "slower_ms", "expected"),
    [(8, 9.9, "pass"), (8, 10.1, "fail"), (100, 24.9, "pass"), (100, 25.1, "fail")],
)
def test_as_fast_as_before_is_a_quarter_slower_or_ten_ms(
    usual_ms: float, slower_ms: float, expected: str, tmp_path: Path
) -> None:
    """A quarter of 8 ms is what any busy machine adds."""
    results = recovering(tmp_path, slow_for_ms=999_000, slower_ms=slower_ms, usual_ms=usual_ms)
    assert results.gates[0].verdict == expected, results.gates[0].reason


def test_load_that_ends_too_early_decides_no_recovery(tmp_path: Path) -> None:
    results = recovering(tmp_path, slow_for_ms=10_000, load_ms=112_000)
    assert results.verdict == "inconclusive"
    assert "load.recovery" in results.next


def test_a_fault_applied_late_moves_its_phase(tmp_path: Path) -> None:
    """The journal's times count: arrivals before the real start belong to no fault."""
    made = record(make_plan(faults=[slow_fault(apply_ms=45_000)]))
    made.plan = make_plan(faults=[slow_fault(apply_ms=35_000)], gates=["p99 < 1s during azure-slow"])
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    phase = next(phase for phase in results.phases if phase.name == "azure-slow")
    assert phase.start_ms == 45_000
    assert phase.outcomes == {"gateway_timeout": phase.n}


def test_a_request_nobody_made_is_no_pass(tmp_path: Path) -> None:
    asks = ("azure",)
    requests = [
        PlannedRequest(name="often", method="GET", path="/", asks=asks, weight=10**9),
        PlannedRequest(name="never", method="GET", path="/", asks=asks, weight=1),
    ]
    gates = ["p99 for never < 1s", "errors for never < 1%", "throughput for never > 1/s", "calls for never < 0.5"]
    plan = make_plan(upstreams=asks, requests=requests, gates=gates)
    results = verdict.judge(Evidence.load(record(plan).write(tmp_path)))
    assert [one.verdict for one in results.gates[:4]] == ["inconclusive"] * 4
    assert "no request arrived" in results.gates[0].reason


def test_a_service_that_dies_after_it_was_ready_fails(tmp_path: Path) -> None:
    made = record(make_plan(gates=["errors < 1%"])).stopped(40_000, "service_gone")
    assert made.manifest.ended
    death = ProcessExit(child="sut", t_ns=T0_NS + 40_000_000_000, code=-11, last_line="Segmentation fault")
    made.manifest = made.manifest.model_copy(
        update={"ended": made.manifest.ended.model_copy(update={"deaths": (death,)})}
    )
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert (results.verdict, results.exit_code) == ("fail", 1)
    assert "The service ended by signal 11, 40.0 s after t = 0" in results.reason
    assert "Segmentation fault" in results.reason
    assert results.why == "It was not told to stop, and what the other gates measured is only of the time before."
    assert "logs/sut.log" in results.next


def test_the_replay_is_the_same_run(tmp_path: Path) -> None:
    plan = make_plan().model_copy(update={"overrides": ("load.rate=20/s", "service.env.A=b c")})
    results = verdict.judge(Evidence.load(record(plan).write(tmp_path)))
    assert results.replay == "tailgate run made-up.yaml --seed 7 --set load.rate=20/s --set 'service.env.A=b c'"


def test_a_run_interrupted_after_its_gates_phases_is_no_pass_either(tmp_path: Path) -> None:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < gateway.timeout during azure-slow"])
    made = record(plan, policy="timeout").stopped(100_000, "interrupted")
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert results.gates[0].verdict == "pass"
    assert (results.verdict, results.exit_code) == ("inconclusive", 130)
    assert "interrupted" in results.reason


def test_an_interrupted_run_is_judged_as_interrupted(tmp_path: Path) -> None:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 1.5s during azure-slow", "p99 < 1s during baseline"])
    made = record(plan, policy="timeout").stopped(70_000, "interrupted")
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert (results.verdict, results.exit_code, results.interrupted) == ("inconclusive", 130, True)
    assert [one.verdict for one in results.gates[:2]] == ["inconclusive", "pass"]
    assert results.gates[0].reason == "the run was interrupted before this phase was over"
    assert results.run.stopped == "interrupted, at 70.0 s"
    assert [check.check for check in results.validity if not check.ok] == []


def test_a_run_that_never_came_to_its_load_is_a_rig_failure(tmp_path: Path) -> None:
    made = record(make_plan(gates=["p99 < 1s"]))
    made.samples, made.calls = made.samples[:0], made.calls[:0]
    made.manifest = made.manifest.model_copy(update={"t0_ns": None, "ended": RunEnd(reason="never_ready")})
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert (results.verdict, results.exit_code) == ("rig_failure", 4)
    assert "never ready" in results.reason
    assert results.phases == ()


def test_a_gate_that_breaks_takes_no_other_verdict_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr("harness.gates.throughput.ThroughputGate.judge", broken)
    made = record(make_plan(gates=["p99 < 1s", "throughput > 1/s"]))
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert [one.verdict for one in results.gates[:2]] == ["pass", "inconclusive"]
    assert "ZeroDivisionError: by design" in results.gates[1].reason


def test_a_repeated_fault_is_judged_over_all_its_windows(tmp_path: Path) -> None:
    windows = tuple(FaultWindow(apply_ms=t, remove_ms=t + 10_000) for t in (35_000, 55_000, 75_000))
    fault = slow_fault(delay_ms=500, held_ms=500).model_copy(update={"windows": windows})
    made = record(make_plan(faults=[fault], gates=["p99 < 300ms during azure-slow"]))
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert results.verdict == "fail"
    assert len(results.faults[0].windows) == 3
