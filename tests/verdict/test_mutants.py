"""Mistakes a judge could make, each really made and seen to change a verdict. Kept by hand.

A mutant that changes nothing means that no test here would notice the mistake: add a run that does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence, Window
from harness.evidence.window import endings_of
from harness.gates import exceedance
from harness.gates.latency_judge import CutOff
from harness.gates.shares import complete, outcomes
from harness.rundir.manifest import ProcessExit, RunEnd
from harness.rundir.phases import Phase, phases_of
from harness.rundir.planned.load import PlannedRequest
from harness.rundir.rows import Outcome
from harness.statistics import Counts, Decision, Rule, decide
from harness.units import NS_PER_S
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.verdict.mutant import Mutant, Patch, swap, swap_latency


def between(made: Recording, from_ms: float, to_ms: float) -> Any:
    t_ms = (made.samples["intended_ns"] - T0_NS) / 1e6
    return (t_ms >= from_ms) & (t_ms < to_ms)


def exactly_at_the_limit() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"]))
    made.samples["done_ns"] = made.samples["intended_ns"] + 1_000_000_000
    return made


def quick_failures() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"]))
    made.samples["outcome"][made.samples["seq"] % 20 == 0] = Outcome.HTTP_ERROR
    return made


def nobody_came() -> Recording:
    asks = ("azure",)
    requests = [
        PlannedRequest(name="often", method="GET", path="/", asks=asks, weight=10**9),
        PlannedRequest(name="never", method="GET", path="/", asks=asks, weight=1),
    ]
    return record(make_plan(upstreams=asks, requests=requests, gates=["p99 for never < 1s"]))


def a_slow_tail() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"]))
    made.samples["done_ns"][made.samples["seq"] % 25 == 0] += 3_000_000_000
    return made


def a_slow_warm_up() -> Recording:
    return record(make_plan(gates=["p99 < 1s"], warmup_ms=20_000)).outage(-20_000, 0)


def caught_in_flight() -> Recording:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 1s during baseline"], guard_ms=5_000)
    return record(plan, policy="timeout").outage(30_000, 35_000)


def held_to_the_end() -> Recording:
    fault = slow_fault(apply_ms=35_000, remove_ms=60_000, held_ms=20_000)
    made = record(make_plan(faults=[fault], gates=["timeouts < 50% during azure-slow"], gateway_timeout_ms=20_000))
    let_go = between(made, 40_000, 60_000)
    made.samples["outcome"][let_go] = Outcome.OK
    return made


def one_stall() -> Recording:
    return record(make_plan(gates=["p99 < 1s"])).outage(50_000, 54_000)


def too_short() -> Recording:
    return record(make_plan(gates=["p99 < 1s"], duration_ms=20_000))


def many_dropped() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"]))
    dropped = made.samples["seq"] % 10 == 0
    made.samples["outcome"][dropped] = Outcome.DROPPED
    made.samples["done_ns"][dropped] = made.samples["sent_ns"][dropped]
    return made


def bystander_missing() -> Recording:
    made = record(make_plan(faults=[slow_fault()], gates=["complete > 99% during azure-slow"]), policy="timeout")
    made.samples["answered"] &= ~np.uint64(1 << made.plan.upstream("gcp").index)
    return made


def faulted_missing() -> Recording:
    return record(make_plan(faults=[slow_fault()], gates=["complete > 99% during azure-slow"]), policy="timeout")


def client_timeouts() -> Recording:
    made = record(make_plan(gates=["timeouts < 1%"]))
    made.samples["outcome"][made.samples["seq"] % 10 == 0] = Outcome.CLIENT_TIMEOUT
    return made


def interrupted() -> Recording:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 1.5s during azure-slow"])
    return record(plan, policy="timeout").stopped(70_000, "fail_fast")


def the_service_died() -> Recording:
    made = record(make_plan(gates=["errors < 1%"], duration_ms=110_000))
    death = ProcessExit(child="sut", t_ns=T0_NS + 110_000_000_000, code=1)
    made.manifest = made.manifest.model_copy(update={"ended": RunEnd(reason="service_gone", deaths=(death,))})
    return made


def undecided() -> Recording:
    return record(make_plan(gates=["p99.9 < 1s"]))


def guard_too_short() -> Recording:
    made = record(make_plan(faults=[slow_fault()], gates=["p99 < 1s during baseline"], guard_ms=100), policy="timeout")
    last = np.flatnonzero(between(made, 0, 34_900))[-8:]
    made.samples["done_ns"][last] += 500_000_000
    return made


def push_down() -> Recording:
    asks = ("azure", "gcp")
    requests = [
        PlannedRequest(name="all", method="GET", path="/", asks=asks),
        PlannedRequest(name="by-gcp", method="GET", path="/?b=gcp", asks=("gcp",)),
    ]
    return record(make_plan(upstreams=asks, requests=requests, gates=["calls to azure for by-gcp < 0.01"]))


def stopped_with_six_percent() -> Recording:
    """Half of the phase is known, 6 % of it slow, evenly: enough if the rest is fast, not if it is one great stall."""
    gates = [f"p99 < {limit}s during azure-slow" for limit in (1.5, 1.6, 1.7)]
    made = record(make_plan(faults=[slow_fault()], gates=gates), policy="timeout")
    made.samples["done_ns"][between(made, 35_000, 65_000) & (made.samples["seq"] % 16 == 0)] += 1_000_000_000
    return made.stopped(66_500, "fail_fast")


def _empty_passes(tally: Counts, seconds: float, rule: Rule) -> Decision:
    return Decision("pass", "no_arrivals", 0, 0, 1.0, 0.0, 0.0, 1.0) if tally.n == 0 else decide(tally, seconds, rule)


def _mean(pool: Any, population: Any, _bad: Any, rule: Rule) -> Decision:
    latency = np.concatenate([window.latency_ns for window in population.windows(pool)])
    slow = latency.mean() >= population.held_ns
    return Decision("fail" if slow else "pass", "decided", len(latency), 0, 1.0, 0.0, 0.0, 1.0)


def _phases(change: Callable[[Phase, Any], Phase]) -> Patch:
    def changed(plan: Any, windows: Any, **unsure: float) -> Any:
        return tuple(change(phase, plan) for phase in phases_of(plan, windows, **unsure))

    return swap("harness.evidence.run.phases_of", changed)


def _whole_with_warm_up(phase: Phase, plan: Any) -> Phase:
    return Phase("whole", ((-plan.load.warmup_ms, phase.end_ms),)) if phase.name == "whole" else phase


def _baseline_with_guard(phase: Phase, plan: Any) -> Phase:
    return Phase("baseline", ((0.0, phase.end_ms + plan.guard_ms),)) if phase.name == "baseline" else phase


def _fault_with_tail(phase: Phase, plan: Any) -> Phase:
    fault = next((fault for fault in plan.faults if fault.name == phase.name), None)
    return Phase(phase.name, ((phase.start_ms, phase.end_ms + fault.held_ms),)) if fault else phase


def _only_sent(patch: pytest.MonkeyPatch) -> None:
    window = Evidence.window

    def without_dropped(self: Evidence, phase: str, **keywords: Any) -> Window:
        found = window(self, phase, **keywords)
        return found.only(found.samples["outcome"] != Outcome.DROPPED)

    patch.setattr(Evidence, "window", without_dropped)


def _never_cut(patch: pytest.MonkeyPatch) -> None:
    window = Evidence.window
    patch.setattr(Evidence, "window", lambda self, phase, **k: replace(window(self, phase, **k), cut=False))


def _no_shortfall_is_pass(gates: Any, _alive: Any, _findings: Any, _warmup: Any) -> str:
    return "fail" if any(one.finding.verdict == "fail" for one in gates.gates) else "pass"


def _the_rest_is_fast(slow: Any, _unknown: Any, sizes: Any, seconds: float, rule: Rule) -> bool:
    return decide(Counts(slow, sizes), seconds, rule).verdict == "fail"


def _any_request(patch: pytest.MonkeyPatch) -> None:
    window = exceedance.Population.window
    patch.setattr(exceedance.Population, "window", lambda self, run: window(replace(self, request=None), run))


def two_timeouts_among_errors() -> Recording:
    """A quarter of the requests got HTTP 500, two of them a 504."""
    made = record(make_plan(gates=["p99 < 2s"], duration_ms=31_000))
    chosen = np.flatnonzero(made.samples["intended_ns"] >= T0_NS)[::4]
    made.samples["outcome"][chosen], made.samples["status"][chosen] = Outcome.HTTP_ERROR, 500
    first = chosen[:2]
    made.samples["outcome"][first], made.samples["status"][first] = Outcome.GATEWAY_TIMEOUT, 504
    made.samples["done_ns"][first] = made.samples["intended_ns"][first] + 2 * NS_PER_S
    return made


def _fails(gate: Any, pool: Any, alpha_fail: float) -> Any:
    finding = gate.judge(pool, alpha_fail=alpha_fail)
    return finding if finding.verdict == "fail" else None


MUTANTS = (
    Mutant(
        "`<=` for `<`",
        exactly_at_the_limit,
        swap("harness.gates.latency_judge.exceeds", lambda latency_ns, limit_ns: latency_ns > limit_ns),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "failures dropped from a latency gate",
        quick_failures,
        swap_latency(lambda run: run.samples["done_ns"] - run.intended_ns),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "nothing arrived, so nothing was slow",
        nobody_came,
        swap("harness.gates.exceedance.decide", _empty_passes),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "a mean for p99",
        a_slow_tail,
        swap("harness.gates.latency_judge.decide_share", _mean),
        right="fail",
        wrong="pass",
    ),
    Mutant("warm-up counted", a_slow_warm_up, _phases(_whole_with_warm_up), right="pass", wrong="fail"),
    Mutant(
        "guard counted as baseline", caught_in_flight, _phases(_baseline_with_guard), right="pass", wrong="inconclusive"
    ),
    Mutant("the tail counted as the fault", held_to_the_end, _phases(_fault_with_tail), right="fail", wrong="pass"),
    Mutant(
        "requests taken for independent",
        one_stall,
        swap("harness.statistics.deflation", lambda *_, **__: 1.0),
        right="inconclusive",
        wrong="fail",
    ),
    Mutant(
        "arrivals taken for moments",
        too_short,
        swap("harness.statistics.pass_deflation", lambda spread, *_: spread),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant("dropped requests forgotten", many_dropped, _only_sent, right="fail", wrong="pass"),
    Mutant(
        "whose rows are missing not looked at",
        bystander_missing,
        swap("harness.evidence.completeness.complete", lambda _, window: window.ok),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "the faulted upstream not excused",
        faulted_missing,
        swap("harness.evidence.completeness._overlaps", lambda begin_ns, *_: np.zeros(len(begin_ns), np.bool_)),
        right="pass",
        wrong="fail",
    ),
    Mutant(
        "timeouts of the client forgotten",
        client_timeouts,
        lambda patch: patch.setitem(outcomes.BAD_OUTCOMES, "timeouts", (Outcome.GATEWAY_TIMEOUT,)),
        right="fail",
        wrong="pass",
    ),
    Mutant("what a stop kept from coming taken for good", interrupted, _never_cut, right="inconclusive", wrong="pass"),
    Mutant(
        "the rest of a stopped run taken for fast",
        stopped_with_six_percent,
        swap("harness.gates.exceedance.cannot_pass", _the_rest_is_fast),
        right="inconclusive",
        wrong="fail",
    ),
    Mutant(
        "a dead service overlooked",
        the_service_died,
        swap("harness.verdict.judging.service_alive", lambda _: None),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "undecided taken for held",
        undecided,
        swap("harness.verdict.judging._combine", _no_shortfall_is_pass),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "a baseline still open when the fault came",
        guard_too_short,
        swap("harness.gates.latency_judge.guard_too_short", lambda _: ""),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant("`for REQUEST` not read", push_down, _any_request, right="pass", wrong="fail"),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_the_mistake_changes_a_verdict(mutant: Mutant, tmp_path: Path) -> None:
    mutant.changes_a_verdict(tmp_path)


@pytest.mark.parametrize(
    ("mistake", "patch"),
    [
        (
            "a sliver taken for the cause",
            lambda patch: patch.setattr("harness.gates.wording.outcomes.CAUSE_LEAST", 0.0),
        ),
        (
            "the lightest ending first",
            lambda patch: patch.setattr(
                "harness.gates.exceedance.endings_of", lambda chosen: tuple(reversed(endings_of(list(chosen))))
            ),
        ),
        (
            "any failure taken for cut off by the gateway",
            lambda patch: patch.setattr(
                "harness.gates.latency_judge.cut_off_of", lambda *_: CutOff(2_000.0, "gateway_timeout")
            ),
        ),
    ],
)
def test_a_wrong_cause_is_a_mistake_too(mistake: str, patch: Patch, tmp_path: Path) -> None:
    run_dir = two_timeouts_among_errors().write(tmp_path)
    right = verdict.judge(Evidence.load(run_dir))
    said = " ".join((right.why, right.next, right.reason.split(", 2 got a 504")[0]))
    assert "gateway" not in said, mistake
    assert "504" not in said
    assert right.gates[0].censored_at_ms is None
    with pytest.MonkeyPatch.context() as mutated:
        patch(mutated)
        wrong = verdict.judge(Evidence.load(run_dir))
    told = " ".join((wrong.why, wrong.next, wrong.reason.split(", 2 got a 504")[0]))
    assert "gateway" in told or "504" in told


def test_a_gate_whose_fail_is_not_sure_stops_no_run() -> None:
    """`complete` excuses faulted upstreams, which only the journal knows: stopping for it is a mistake."""
    from harness.run.early_stop import FailFast

    plan = make_plan(faults=[slow_fault()], gates=["complete > 99%"])
    rows = record(plan, policy="timeout").samples
    assert FailFast(plan).reason(rows, T0_NS) is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            complete.CompleteGate, "cannot_pass", lambda self, pool, *, alpha_fail: _fails(self, pool, alpha_fail)
        )
        assert FailFast(plan).reason(rows, T0_NS) is not None
