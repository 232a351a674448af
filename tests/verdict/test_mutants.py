"""Mistakes a judge could make, each really made and seen to change a verdict. Kept by hand.

A mutant that changes nothing means that no test here would notice the mistake: add a run that does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence, Window
from harness.evidence.detections.recorded import Cleared
from harness.evidence.meetings import FaultContact
from harness.evidence.window import NEVER, endings_of
from harness.gates import exceedance
from harness.gates.detection import named_judge
from harness.gates.latency_judge import CutOff
from harness.gates.shares import complete, outcomes
from harness.rundir.detections import Detection
from harness.rundir.manifest import ProcessExit, RunEnd
from harness.rundir.phases import Phase, phases_of
from harness.rundir.planned.behaviours import Late
from harness.rundir.planned.fault import PlannedToxic
from harness.rundir.planned.load import PlannedRequest
from harness.rundir.rows import BrokenRows, Outcome, read_rows
from harness.stack.detection.log_matcher import LogParser, UpstreamMatcher
from harness.statistics import Counts, Decision, Rule, decide
from harness.units import NS_PER_MS, NS_PER_S
from tests.rundir.recording import T0_NS, Recording, down_fault, make_plan, record, slow_fault

Make = Callable[[], Recording]
Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    mistake: str
    make: Make
    patch: Patch
    right: str
    wrong: str


def between(made: Recording, from_ms: float, to_ms: float) -> Any:
    t_ms = (made.samples["intended_ns"] - T0_NS) / 1e6
    return (t_ms >= from_ms) & (t_ms < to_ms)


# ---------------------------------------------------------------- the runs


def exactly_at_the_limit() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"]))
    made.samples["done_ns"] = made.samples["intended_ns"] + 1_000_000_000
    return made


def dropped_by_cut_slots() -> Recording:
    """One arrival in ten found no slot, since the open-file limit allowed no more."""
    plan = make_plan(gates=["errors < 1%"])
    made = record(plan.model_copy(update={"load": plan.load.model_copy(update={"slots_cut": True})}))
    made.samples["outcome"][made.samples["seq"] % 10 == 0] = Outcome.DROPPED
    return made


def quick_failures() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"]))
    made.samples["outcome"][made.samples["seq"] % 20 == 0] = Outcome.HTTP_ERROR
    return made


def late_generator() -> Recording:
    return record(
        make_plan(gates=["p99 < 1s"]), lag_ms=lambda t_ms: np.where((t_ms > 20_000) & (t_ms < 40_000), 1_500, 0.2)
    )


def late_generator_and_a_death() -> Recording:
    made = late_generator()
    death = ProcessExit(child="sut", t_ns=T0_NS + 100_000_000_000, code=-9)
    made.manifest = made.manifest.model_copy(update={"ended": RunEnd(reason="done", deaths=(death,))})
    return made


def beside_a_busy_machine() -> Recording:
    """Slow for twenty seconds, in which others took the cores."""
    return record(make_plan(gates=["p99 < 1s"])).slowed(20_000, 40_000, 1_200).beside(20, 40)


def uses_up_the_cores() -> Recording:
    """As slow, and it waits as long for a core, but it uses them itself."""
    made = record(make_plan(gates=["p99 < 1s"])).slowed(20_000, 40_000, 1_200)
    return made.beside(20, 40, others_s=0.6, used_s=1.4)


def slow_without_waiting() -> Recording:
    """Others took the cores for twenty seconds. It was slow in them, and waited for less than a tenth of the time."""
    made = record(make_plan(gates=["p99 < 1s"])).slowed(20_000, 40_000, 980)
    return made.beside(20, 40, waited_s=0.09)


def a_thread_that_always_runs() -> Recording:
    """One thread of the service uses a core nearly whole, and waits for it now and then."""
    made = record(make_plan(gates=["p99 < 1s"])).slowed(20_000, 40_000, 980)
    return made.beside(20, 40, others_s=1.0, used_s=0.85, waited_s=0.2)


def slower_than_any_waiting() -> Recording:
    """Others took the cores all the time. The service took 6 s, and waited half a second in each."""
    made = record(make_plan(gates=["p99 < 1s"])).slowed(-9_000, 999_000, 6_000)
    return made.beside(-1, 200, others_s=1.6, waited_s=0.5)


def errors_beside_a_busy_machine() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"])).beside(-1, 200)
    made.samples["outcome"][made.samples["seq"] % 20 == 0] = Outcome.HTTP_ERROR
    return made


def timeouts_beside_a_busy_machine() -> Recording:
    """It hangs until the gateway gives up, which no waiting explains."""
    made = record(make_plan(gates=["p99 < 1s"], gateway_timeout_ms=20_000)).outage(30_000, 50_000)
    return made.beside(-1, 200, waited_s=0.5)


def a_hung_upstream_beside_a_busy_machine() -> Recording:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < gateway.timeout during azure-slow"])
    return record(plan, policy="parallel").beside(-1, 200, waited_s=1.4)


def needs_more_cores_than_it_has() -> Recording:
    """It worked on every tenth request, and the others timed out, on a machine whose cores others took."""
    made = record(make_plan(gates=["p99 < 1s"])).beside(-1, 200, others_s=1.4, used_s=0.5, waited_s=3.0)
    starved = made.samples["seq"] % 10 != 0
    made.samples["outcome"][starved] = Outcome.GATEWAY_TIMEOUT
    made.samples["done_ns"][starved] = made.samples["intended_ns"][starved] + 2_000_000_000
    made.calls = made.calls[made.calls["seq"] % 10 == 0]
    return made


def nothing_is_left(run: Evidence, _taken: object, **_: object) -> Evidence:
    """As if taken seconds, which may be all, were a reason to judge nothing."""
    return run.without(frozenset(range(-9, 200)))


def calls_beside_a_busy_machine() -> Recording:
    """A gate on calls fails. No waiting for a core makes calls."""
    return record(make_plan(gates=["calls < 1.5"])).beside(-1, 200)


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


def lying_toxiproxy() -> Recording:
    return record(make_plan(faults=[slow_fault()], gates=["p99 < 1s during azure-slow"]), fault_works=False)


def around_the_proxy() -> Recording:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 1s during azure-slow"])
    made = record(plan, fault_reaches_service=False)
    made.canaries = [line for line in made.canaries if line.kind != "connections"]
    return made


def _without_calls_during(made: Recording) -> Recording:
    """As if a cache had answered while the fault stood."""
    (fault,) = made.plan.faults
    (window,) = fault.windows
    t_ms = (made.calls["arrived_ns"] - T0_NS) / NS_PER_MS
    made.calls = made.calls[(made.calls["upstream"] != 0) | (t_ms < window.apply_ms) | (t_ms >= window.remove_ms)]
    return made


def a_cache_answered() -> Recording:
    made = record(make_plan(faults=[slow_fault()], gates=["p99 < 3s during azure-slow"]), policy="timeout")
    return _without_calls_during(made)


def a_cache_hid_a_fake() -> Recording:
    fault = slow_fault().model_copy(update={"behaviour": Late(latency_ms=60_000, jitter_ms=0), "delay_ms": None})
    made = record(make_plan(faults=[fault], gates=["p99 < 3s during azure-slow"]), policy="timeout")
    return _without_calls_during(made)


def idle_connections() -> Recording:
    """A toxic on the requests, and a pool whose connections stand since before."""
    toxic = PlannedToxic(type="latency", stream="upstream", attributes={"latency": 60_000})
    fault = slow_fault().model_copy(update={"toxics": (toxic,)})
    made = record(make_plan(faults=[fault], gates=["p99 < 3s during azure-slow"]), policy="timeout")
    return _without_calls_during(made)


def nobody_tried_to_connect() -> Recording:
    made = record(make_plan(faults=[down_fault()], gates=["p99 < 3s during azure-down"]))
    made.canaries = [line for line in made.canaries if line.kind != "refused"]
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


def not_rolled_back() -> Recording:
    made = record(make_plan(faults=[slow_fault()], gates=["p99 < 1.5s during azure-slow"]), policy="timeout")
    made.manifest = made.manifest.model_copy(update={"ended": RunEnd(reason="done", rollback_verified=False)})
    return made


def applied_late() -> Recording:
    made = record(make_plan(faults=[slow_fault(apply_ms=45_000, remove_ms=97_000)], guard_ms=2_000))
    made.plan = make_plan(faults=[slow_fault(apply_ms=35_000)], gates=["errors < 90% during azure-slow"])
    return made


def the_service_died() -> Recording:
    made = record(make_plan(gates=["errors < 1%"], duration_ms=110_000))
    death = ProcessExit(child="sut", t_ns=T0_NS + 110_000_000_000, code=1)
    made.manifest = made.manifest.model_copy(update={"ended": RunEnd(reason="service_gone", deaths=(death,))})
    return made


def undecided() -> Recording:
    return record(make_plan(gates=["p99.9 < 1s"]))


def a_lost_row() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"]))
    made.samples = np.delete(made.samples, 100)
    return made


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


def named_by(gate: str, *seconds: tuple[float, str]) -> Recording:
    """azure is slow from 35 s to 97 s; who was named when."""
    made = record(make_plan(faults=[slow_fault()], gates=[gate], duration_ms=140_000), policy="timeout")
    made.notices = [
        Detection(t_ns=T0_NS + round(at_s * 1e9), upstream=name, source="log", text=name) for at_s, name in seconds
    ]
    return made


def named_at_the_limit() -> Recording:
    return named_by("named azure within 5s", (40.0, "azure"))


def named_late() -> Recording:
    return named_by("named azure within 5s", *((at_s, "azure") for at_s in (45.0, 36.0)))


def never_named() -> Recording:
    return named_by("named azure within 5s")


def a_healthy_one_named() -> Recording:
    return named_by("named azure within 5s", (36.0, "azure"), (60.0, "gcp"))


def always_named() -> Recording:
    return named_by("named azure within 5s", *((float(at_s), "azure") for at_s in range(5, 100)))


def cleared_late() -> Recording:
    return named_by("cleared within 30s after azure-slow", (36.0, "azure"), (100.0, "azure"), (130.0, "azure"))


def never_raised() -> Recording:
    return named_by("cleared within 30s after azure-slow")


def holding(gate: str, **unusual: Callable[[float], object]) -> Recording:
    """A service looked at once a second; `unusual` gives some of its figures at that second."""
    made = record(make_plan(faults=[slow_fault()], gates=[gate]), policy="timeout")
    made.resources = [
        {"t_ns": T0_NS + round(second * 1e9), "child": "sut", "rss_bytes": 80_000_000, "threads": 20}
        | {name: figure(second) for name, figure in unusual.items()}
        for second in range(112)
    ]
    return made


def as_many_threads_as_the_limit() -> Recording:
    return holding("threads < 20 during azure-slow")


def a_moment_of_many_threads() -> Recording:
    return holding("threads < 100 during azure-slow", threads=lambda second: 271 if second == 60 else 20)


def nobody_looked() -> Recording:
    made = holding("threads < 100 during azure-slow")
    made.resources = [line for line in made.resources if not 60 <= (line["t_ns"] - T0_NS) / 1e9 < 80]
    return made


def threads_that_return() -> Recording:
    return holding("threads < 100 after azure-slow", threads=lambda second: 271 if 60 <= second < 100 else 20)


# ---------------------------------------------------------------- the mistakes


def swap(target: str, value: Any) -> Patch:
    return lambda patch: patch.setattr(target, value)


def swap_latency(latency_ns: Callable[[Evidence], Any]) -> Patch:
    return lambda patch: patch.setattr(Evidence, "latency_ns", property(latency_ns))


def _since_sent(run: Evidence) -> Any:
    latency = run.samples["done_ns"] - run.samples["sent_ns"]
    latency[run.samples["outcome"] != Outcome.OK] = NEVER
    return latency


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


def _no_digest(path: Path, layout: Any, *, verify: bool = True) -> Any:
    try:
        return read_rows(path, layout, verify=verify)
    except BrokenRows:
        return read_rows(path, layout, verify=False)


def _all_ok(check: str) -> Patch:
    def patch_it(patch: pytest.MonkeyPatch) -> None:
        from harness.verdict.validity import rig_findings

        def kind(run: Evidence, landings: Any) -> Any:
            return tuple(replace(f, ok=True) if f.check == check else f for f in rig_findings(run, landings))

        patch.setattr("harness.verdict.judging.rig_findings", kind)

    return patch_it


def _canary_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("harness.verdict.faults.proof.unmet", lambda *_: None)


def _calls_at_any_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FaultContact, "happened", property(lambda meeting: bool(meeting.asked.total)))


def _none_of_none_is_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FaultContact, "happened", property(lambda meeting: meeting.hit == meeting.calls))


def _standing_connections(run: Evidence, upstream: str, _spans: Any) -> int:
    return sum(line.count or 0 for line in run.canaries if line.kind == "connections" and line.upstream == upstream)


def _no_shortfall_is_pass(gates: Any, _alive: Any, _findings: Any, _warmup: Any) -> str:
    return "fail" if any(one.finding.verdict == "fail" for one in gates.gates) else "pass"


def _the_rest_is_fast(slow: Any, _unknown: Any, sizes: Any, seconds: float, rule: Rule) -> bool:
    return decide(Counts(slow, sizes), seconds, rule).verdict == "fail"


def _any_request(patch: pytest.MonkeyPatch) -> None:
    window = exceedance.Population.window
    patch.setattr(exceedance.Population, "window", lambda self, run: window(replace(self, request=None), run))


def _up_to_the_limit(patch: pytest.MonkeyPatch) -> None:
    after_ms = named_judge._FaultWindow.after_ms
    patch.setattr(named_judge._FaultWindow, "after_ms", lambda self, t_ns: after_ms(self, t_ns) - 0.001)


def _last_for_first(seen: Any, **keywords: Any) -> Any:
    return max(seen, **keywords) if "key" in keywords else min(seen, **keywords)


def _of_nothing_pass(patch: pytest.MonkeyPatch) -> None:
    window = named_judge._window

    def passing(look: Any) -> Any:
        outcome = window(look)
        seen = look.notices.between(look.begin_ns, look.end_ns)
        return outcome if seen else replace(outcome, verdict="pass")

    patch.setattr(named_judge, "_window", passing)


def _first_for_last(run: Evidence, upstream: str, _source: Any, removed_ns: int, end_ns: int) -> Any:
    assert run.notices is not None
    first = run.notices.between(removed_ns, end_ns, upstream)[0]
    return Cleared(first.t_ns, first)


def _as_if_it_had_been_named(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("harness.evidence.detections.recorded.Detections.between", lambda *_: _Anything())
    patch.setattr("harness.evidence.detections.baseline.BaselineDetections.news", lambda *_: [True])


class _Anything(list[Any]):
    """Empty, and true."""

    def __bool__(self) -> bool:
        return True


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
        "latency from the send, not from the plan",
        late_generator,
        swap_latency(_since_sent),
        right="rig_failure",
        wrong="pass",
    ),
    Mutant(
        "send lag held against the service",
        late_generator,
        swap("harness.verdict.gates.late_seconds", lambda *_: frozenset()),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "send lag excuses a service that died",
        late_generator_and_a_death,
        swap("harness.verdict.gates.GateVerdicts.without_unsure", lambda it: it),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine held against the service",
        beside_a_busy_machine,
        swap("harness.verdict.bad_seconds.taken.is_taken", lambda record: np.zeros(len(record), np.bool_)),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "a busy machine excuses a service that uses up the cores",
        uses_up_the_cores,
        swap("harness.verdict.bad_seconds.taken.is_taken", lambda record: record.waited_s >= 0.1),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses a service that did not wait",
        slow_without_waiting,
        swap("harness.verdict.bad_seconds.taken.WAITED_LEAST_S", 0.0),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses a thread that always runs",
        a_thread_that_always_runs,
        swap("harness.verdict.bad_seconds.taken.WAITED_TO_USED_LEAST", 0.0),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "waiting excuses requests that were slower than any waiting",
        slower_than_any_waiting,
        swap("harness.verdict.gates.without_waiting", nothing_is_left),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses errors",
        errors_beside_a_busy_machine,
        swap("harness.verdict.gates.without_waiting", nothing_is_left),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses timeouts",
        timeouts_beside_a_busy_machine,
        swap("harness.verdict.gates.without_waiting", nothing_is_left),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses a service that waits for a hung upstream",
        a_hung_upstream_beside_a_busy_machine,
        swap(
            "harness.verdict.bad_seconds.waiting._waited_for_upstreams_ns",
            lambda _run, timed_out, _reaction_ns: np.zeros(len(timed_out), np.int64),
        ),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses a service that needs more cores than there are",
        needs_more_cores_than_it_has,
        swap("harness.verdict.bad_seconds.taken.needed_cores", lambda *_, **__: 0.0),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses calls",
        calls_beside_a_busy_machine,
        swap("harness.verdict.gates.without_waiting", nothing_is_left),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "dropped by our own limit counts against the service",
        dropped_by_cut_slots,
        swap("harness.verdict.gates.has_cut_drops", lambda _pool: False),
        right="rig_failure",
        wrong="fail",
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
        "the plan's windows for the journal's",
        applied_late,
        swap("harness.evidence.run.real_windows", lambda *_, **__: {}),
        right="fail",
        wrong="inconclusive",
    ),
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
    Mutant("a fault believed without proof", lying_toxiproxy, _all_ok("faults"), right="rig_failure", wrong="pass"),
    Mutant("the canary believed alone", around_the_proxy, _canary_alone, right="rig_failure", wrong="pass"),
    Mutant("calls before the window count", a_cache_answered, _calls_at_any_time, right="rig_failure", wrong="pass"),
    Mutant("0 of 0 is proven", a_cache_hid_a_fake, _none_of_none_is_all, right="rig_failure", wrong="pass"),
    Mutant(
        "connections that stood before count",
        idle_connections,
        swap("harness.evidence.meetings._connections", _standing_connections),
        right="rig_failure",
        wrong="pass",
    ),
    Mutant(
        "a listener that was shut is taken for a call refused",
        nobody_tried_to_connect,
        swap("harness.evidence.meetings._refused", lambda *_: (1, "")),
        right="rig_failure",
        wrong="pass",
    ),
    Mutant("lost rows forgiven", a_lost_row, _all_ok("counts"), right="rig_failure", wrong="pass"),
    Mutant("an unverified rollback forgiven", not_rolled_back, _all_ok("rollback"), right="rig_failure", wrong="pass"),
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
    Mutant(
        "`<=` for `<` of what the service holds",
        as_many_threads_as_the_limit,
        swap("harness.gates.readings.resource_judge.exceeds", lambda value, limit: value > limit),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "a mean for the highest reading",
        a_moment_of_many_threads,
        swap("harness.gates.readings.resource_judge._Usage.highest", property(lambda held: float(held._values.mean()))),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "readings that are missing taken for held",
        nobody_looked,
        swap("harness.gates.readings.resource_judge._Usage.unknown", lambda *_: ""),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "what is still held just after a fault held against the service",
        threads_that_return,
        swap("harness.evidence.resources.ResourceSeries.last", lambda self, *_, **__: self),
        right="pass",
        wrong="fail",
    ),
    Mutant("`for REQUEST` not read", push_down, _any_request, right="pass", wrong="fail"),
    Mutant("named: `<=` for `<`", named_at_the_limit, _up_to_the_limit, right="fail", wrong="pass"),
    Mutant(
        "named: the last sighting for the first",
        named_late,
        lambda patch: patch.setattr(named_judge, "min", _last_for_first, raising=False),
        right="pass",
        wrong="fail",
    ),
    Mutant("named: nobody named, so nobody named late", never_named, _of_nothing_pass, right="fail", wrong="pass"),
    Mutant(
        "named: a healthy one named is overlooked",
        a_healthy_one_named,
        swap("harness.gates.detection.named_judge.is_explained", lambda *_: True),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "named: a bell that always rings is believed",
        always_named,
        swap("harness.evidence.detections.baseline.BaselineDetections.news", lambda _, seen, __: list(seen)),
        right="inconclusive",
        wrong="pass",
    ),
    Mutant(
        "cleared: the first sighting for the last",
        cleared_late,
        swap("harness.evidence.detections.recorded.cleared", _first_for_last),
        right="fail",
        wrong="pass",
    ),
    Mutant(
        "cleared: what was never raised has cleared",
        never_raised,
        _as_if_it_had_been_named,
        right="inconclusive",
        wrong="pass",
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_the_mistake_changes_a_verdict(mutant: Mutant, tmp_path: Path) -> None:
    run = Evidence.load(mutant.make().write(tmp_path))
    assert verdict.judge(run).verdict == mutant.right
    with pytest.MonkeyPatch.context() as patch:
        mutant.patch(patch)
        assert verdict.judge(Evidence.load(tmp_path)).verdict == mutant.wrong


TRACEBACK = (
    "ERROR offers: azure did not answer",
    "Traceback (most recent call last):",
    '  File "/app/lambda.py", line 19, in lambda',
    "    items = list(heapq.merge(*offers, key=lambda i: i.price))",
    "TimeoutError: no answer in time",
)


def logs_a_traceback() -> Recording:
    """azure is named at once, and lambda stands in the source of the traceback below."""
    plan = make_plan(upstreams=("azure", "lambda"), faults=[slow_fault()], gates=["named azure within 5s"])
    made = record(plan, policy="timeout")
    blame = LogParser(UpstreamMatcher(plan.upstreams))
    made.notices = [
        Detection(t_ns=T0_NS + 36 * NS_PER_S + number, upstream=name, source="log", text=line)
        for number, line in enumerate(TRACEBACK)
        for name in blame.named(line)
    ]
    return made


def test_a_traceback_that_names_is_a_mistake_too(tmp_path: Path) -> None:
    assert verdict.judge(Evidence.load(logs_a_traceback().write(tmp_path / "right"))).verdict == "pass"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "harness.stack.detection.tracebacks.Tracebacks.read",
            lambda _, line: "own" if "ERROR" in line else "beneath",
        )
        patch.setattr("harness.stack.detection.log_matcher.prose", lambda line, *_: line)
        results = verdict.judge(Evidence.load(logs_a_traceback().write(tmp_path / "wrong")))
    assert results.verdict == "fail"
    assert "lambda was healthy and was named" in results.reason


def test_footers_not_read_is_a_mistake_too(tmp_path: Path) -> None:
    run_dir = record(make_plan(gates=["p99 < 1s"])).write(tmp_path)
    (run_dir / "calls-0.bin").write_bytes((run_dir / "calls-0.bin").read_bytes()[:-100])
    assert verdict.judge(Evidence.load(run_dir)).verdict == "rig_failure"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.evidence.files.read_rows", _no_digest)
        assert verdict.judge(Evidence.load(run_dir)).verdict == "pass"


def two_timeouts_among_errors() -> Recording:
    """A quarter of the requests got HTTP 500, two of them a 504."""
    made = record(make_plan(gates=["p99 < 2s"], duration_ms=31_000))
    chosen = np.flatnonzero(made.samples["intended_ns"] >= T0_NS)[::4]
    made.samples["outcome"][chosen], made.samples["status"][chosen] = Outcome.HTTP_ERROR, 500
    first = chosen[:2]
    made.samples["outcome"][first], made.samples["status"][first] = Outcome.GATEWAY_TIMEOUT, 504
    made.samples["done_ns"][first] = made.samples["intended_ns"][first] + 2 * NS_PER_S
    return made


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


def _fails(gate: Any, pool: Any, alpha_fail: float) -> Any:
    finding = gate.judge(pool, alpha_fail=alpha_fail)
    return finding if finding.verdict == "fail" else None
