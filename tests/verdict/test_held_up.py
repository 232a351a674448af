"""What others that take the cores can do to each kind of gate: a healthy service beside them never fails, and a service
that is bad by itself still does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness import verdict
from harness.evidence import Evidence
from harness.evidence.cores import CoreSeconds
from harness.evidence.joining.row_table import RowTable
from harness.gates.latency import LatencyGate
from harness.rundir.detections import Detection
from harness.rundir.results import Results
from harness.rundir.rows import Outcome
from harness.verdict.bad_seconds.taken import backlog_seconds, is_taken, taken_seconds
from harness.verdict.bad_seconds.waiting import without_waiting
from tests.rundir.recording import T0_NS, Recording, down_fault, make_plan, record, slow_fault
from tests.verdict.mutant import Mutant, swap

Make = Callable[[], Recording]
ALL = (-1, 200)
"""The seconds of the whole run."""


def judged(made: Recording, tmp_path: Path) -> Results:
    return verdict.judge(Evidence.load(made.write(tmp_path)))


def within(made: Recording, from_ms: float, to_ms: float) -> NDArray[np.bool_]:
    t_ms = (made.samples["intended_ns"] - T0_NS) / 1e6
    found: NDArray[np.bool_] = (t_ms >= from_ms) & (t_ms < to_ms)
    return found


def starved(made: Recording, from_s: int = 20, to_s: int = 40, *, by_ms: float = 1_200) -> Recording:
    """Others take the cores, calls come late and so do the answers."""
    made.calls_later(from_s * 1_000, to_s * 1_000, by_ms).slowed(from_s * 1_000, to_s * 1_000, by_ms)
    return made.beside(from_s, to_s, waited_s=1.5)


def failing(made: Recording, outcome: Outcome, from_ms: float = 20_000, to_ms: float = 40_000) -> Recording:
    """Every fifth request of these seconds ends so."""
    chosen = within(made, from_ms, to_ms) & (made.samples["seq"] % 5 == 0)
    made.samples["outcome"][chosen] = outcome
    made.samples["status"][chosen] = 500 if outcome == Outcome.HTTP_ERROR else 0
    return made


# ---------------------------------------------------------------- a healthy service


def slow(gate: str) -> Make:
    return lambda: starved(record(make_plan(gates=[gate])))


def fakes_alone_waited() -> Recording:
    made = record(make_plan(gates=["p99 < 1s"])).calls_later(20_000, 40_000, 1_200).slowed(20_000, 40_000, 1_200)
    return made.beside(20, 40, waited_s=0.0, used_s=0.01, rig_waited_s=0.8)


def first_bytes() -> Recording:
    """Nearly all seconds are taken, so the first bytes must come earlier too."""
    made = record(make_plan(gates=["p99(ttfb) < 1s"]))
    made.samples["first_ns"] = made.samples["done_ns"]
    made.calls_later(-9_000, 999_000, 1_200).slowed(-9_000, 999_000, 1_200).beside(*ALL, waited_s=1.5)
    made.samples["first_ns"] += 1_200_000_000
    return made


def errors_all_the_time() -> Recording:
    """Deadlines run out while calls come late, in every second of the run."""
    made = record(make_plan(gates=["errors < 1%"]))
    made.calls_later(-9_000, 999_000, 700).slowed(-9_000, 999_000, 700)
    return failing(made, Outcome.HTTP_ERROR, -9_000, 999_000).beside(*ALL, waited_s=1.5)


def incomplete_all_the_time() -> Recording:
    made = record(make_plan(gates=["complete > 99%"])).calls_later(-9_000, 999_000, 700).slowed(-9_000, 999_000, 700)
    made.lose("azure", 5)
    return made.beside(*ALL, waited_s=1.5)


def timeouts_of_a_queue() -> Recording:
    """Requests queue up before the service, which runs in a third of the time: each waits for longer than others hold
    the run up while it is open."""
    made = record(make_plan(gates=["errors < 1%"], gateway_timeout_ms=12_000)).beside(*ALL, waited_s=0.6, used_s=0.35)
    made.calls_later(-9_000, 999_000, 11_000)
    made.outage(20_000, 60_000)
    return made


def its_own_deadline_came_late() -> Recording:
    """It gives a hung upstream up after 1.5 s, and the gateway the request after 2 s. It reacts 0.8 s late."""
    plan = make_plan(faults=[slow_fault()], gates=["errors < 1% during azure-slow"])
    made = record(plan, policy="parallel").beside(*ALL, waited_s=1.5)
    made.calls["arrived_ns"] += 800_000_000
    return made


def not_back_in_time() -> Recording:
    """Recovery falls into seconds that others took."""
    plan = make_plan(faults=[down_fault()], gates=["recovery < 15s after azure-down"], duration_ms=140_000)
    made = record(plan, policy="timeout")
    end_s = round(plan.faults[0].windows[-1].remove_ms / 1_000)
    return starved(made, end_s - 1, 140, by_ms=400)


def named(*at_s: float) -> Recording:
    made = record(
        make_plan(faults=[slow_fault()], gates=["named azure within 5s"], duration_ms=140_000), policy="timeout"
    )
    made.detections = [
        Detection(t_ns=T0_NS + round(at * 1e9), upstream="azure", source="log", text="azure") for at in at_s
    ]
    return made


def named_late() -> Recording:
    """It was named 9 s after the fault came at 35 s, and eight of these seconds were taken."""
    return named(44.0).beside(35, 43)


def never_named_in_all_seconds() -> Recording:
    return named().beside(*ALL)


def a_call_beside() -> Recording:
    """The fakes answer late, and no quiet second is left."""
    made = record(make_plan(gates=["p99 of azure < 600ms"]))
    made.calls["done_ns"] += 700_000_000
    made.samples["done_ns"] += 700_000_000
    return made.beside(*ALL, waited_s=0.0, used_s=0.01, rig_waited_s=0.8)


def worked_off_afterwards() -> Recording:
    """What queued up in twenty seconds is worked off in the next eighteen, of which others took none."""
    made = record(make_plan(gates=["p99 < 1s"])).calls_later(20_000, 58_000, 3_000).slowed(20_000, 58_000, 3_000)
    return made.beside(20, 40, waited_s=1.5)


def due_before_others_came() -> Recording:
    """The requests of the last two quiet seconds were still open when others came."""
    plan = make_plan(gates=["p99 < 4s"], gateway_timeout_ms=20_000)
    made = record(plan).slowed(-9_000, 999_000, 2_500)
    return made.slowed(18_000, 40_000, 3_000).calls_later(20_000, 40_000, 3_000).beside(20, 40, waited_s=1.5)


@pytest.mark.parametrize(
    "make",
    [
        slow("p99 < 1s"),
        slow("max < 1s"),
        lambda: starved(record(make_plan(gates=["mean < 1s"])), *ALL),
        lambda: failing(slow("errors < 1%")(), Outcome.HTTP_ERROR),
        lambda: failing(slow("errors < 1%")(), Outcome.CLIENT_TIMEOUT),
        lambda: failing(
            starved(record(make_plan(gates=["throughput > 39/s"])), *ALL), Outcome.GATEWAY_TIMEOUT, -9_000, 999_000
        ),
        fakes_alone_waited,
        first_bytes,
        errors_all_the_time,
        incomplete_all_the_time,
        timeouts_of_a_queue,
        its_own_deadline_came_late,
        not_back_in_time,
        named_late,
        never_named_in_all_seconds,
        a_call_beside,
        worked_off_afterwards,
        due_before_others_came,
    ],
)
def test_a_healthy_service_beside_others_is_no_fail(make: Make, tmp_path: Path) -> None:
    results = judged(make(), tmp_path)
    assert results.gates[0].verdict == "fail", "otherwise this shows nothing"
    assert results.verdict == "rig_failure"
    assert results.reason.startswith("the machine was busy with something else: in ")


def test_a_queue_is_no_excuse_where_calls_came_at_once(tmp_path: Path) -> None:
    """The same requests time out, and their calls came at once."""
    made = timeouts_of_a_queue()
    made.calls["arrived_ns"] -= 11_000_000_000
    assert judged(made, tmp_path).verdict == "fail"


# ---------------------------------------------------------------- a service that is bad by itself


def slow_in_quiet_seconds() -> Recording:
    return slow("p99 < 1s")().slowed(60_000, 80_000, 1_200)


def slow_while_a_fault_stands() -> Recording:
    """It waits for the slow upstream; others take the cores for a part of the time."""
    plan = make_plan(faults=[slow_fault()], gates=["p99 < gateway.timeout during azure-slow"])
    return starved(record(plan, policy="parallel"), 40, 60)


def errors_in_quiet_seconds() -> Recording:
    return failing(slow("errors < 1%")(), Outcome.HTTP_ERROR, -9_000, 999_000)


def errors_without_a_late_reaction() -> Recording:
    """Others take the cores all the time, and all that the service calls is called at once."""
    return failing(record(make_plan(gates=["errors < 1%"])), Outcome.HTTP_ERROR, -9_000, 999_000).beside(*ALL)


def incomplete_without_a_late_reaction() -> Recording:
    made = record(make_plan(gates=["complete > 99%"]))
    made.lose("azure", 5)
    return made.beside(*ALL)


def dropped() -> Recording:
    return failing(slow("errors < 1%")(), Outcome.DROPPED, 60_000, 80_000)


def a_hung_upstream_without_a_late_reaction() -> Recording:
    plan = make_plan(faults=[slow_fault()], gates=["errors < 1% during azure-slow"])
    return record(plan, policy="parallel").beside(*ALL, waited_s=1.5)


def never_named() -> Recording:
    """Others took the cores for two of the sixty seconds of the fault."""
    return named().beside(50, 52)


def burns_its_cores() -> Recording:
    """As slow as one that others held up; it uses as much as they."""
    made = record(make_plan(gates=["p99 < 1s"])).calls_later(20_000, 40_000, 1_200).slowed(20_000, 40_000, 1_200)
    return made.beside(20, 40, waited_s=1.5, used_s=1.2, others_s=0.8, rig_waited_s=1.0)


@pytest.mark.parametrize(
    "make",
    [
        slow_in_quiet_seconds,
        slow_while_a_fault_stands,
        errors_in_quiet_seconds,
        errors_without_a_late_reaction,
        incomplete_without_a_late_reaction,
        dropped,
        a_hung_upstream_without_a_late_reaction,
        never_named,
        burns_its_cores,
    ],
)
def test_a_service_that_is_bad_by_itself_stays_a_fail(make: Make, tmp_path: Path) -> None:
    assert judged(make(), tmp_path).verdict == "fail"


def test_a_pass_is_a_pass_where_requests_queued_up(tmp_path: Path) -> None:
    assert judged(starved(record(make_plan(gates=["p99 < 1s"])), by_ms=300), tmp_path).verdict == "pass"


# ---------------------------------------------------------------- mistakes


def _rig_left_out(record: CoreSeconds) -> NDArray[np.bool_]:
    return is_taken(replace(record, rig_waited_s=np.zeros(len(record))))


def _first_bytes_as_they_were(
    samples: RowTable, held_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return samples["done_ns"] - held_ns, samples["first_ns"]


def _nothing(*_: object, **__: object) -> frozenset[int]:
    return frozenset()


WAITING = "harness.verdict.bad_seconds.waiting"
MUTANTS = [
    Mutant(
        "waiting of the fakes held against the service",
        fakes_alone_waited,
        swap("harness.verdict.bad_seconds.taken.is_taken", _rig_left_out),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "what queued up held against the service",
        worked_off_afterwards,
        swap("harness.verdict.bad_seconds.taken.backlog_seconds", _nothing),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "a request's place in a queue held against the service",
        timeouts_of_a_queue,
        swap(f"{WAITING}._queued_s", lambda held_s, *_, **__: np.zeros(len(held_s))),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "a request that others held up in its last second held against the service",
        due_before_others_came,
        swap("harness.verdict.gates._JudgedAgain._unheld", lambda self, _one: self._pool),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "errors of deadlines that ran out held against the service",
        errors_all_the_time,
        swap(f"{WAITING}.REACTED_LATE_MS", 60_000.0),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "a busy machine excuses errors without a late reaction",
        errors_without_a_late_reaction,
        swap(f"{WAITING}.REACTED_LATE_MS", 0.0),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a busy machine excuses incomplete answers without a late reaction",
        incomplete_without_a_late_reaction,
        swap(f"{WAITING}.REACTED_LATE_MS", 0.0),
        right="fail",
        wrong="rig_failure",
    ),
    Mutant(
        "a deadline that came late held against the service",
        its_own_deadline_came_late,
        swap(f"{WAITING}._reactions_ns", lambda run: np.zeros(len(run.samples), np.int64)),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "late first bytes held against the service",
        first_bytes,
        swap(f"{WAITING}._answered_earlier", _first_bytes_as_they_were),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "a detection in taken seconds held against the service",
        never_named_in_all_seconds,
        swap("harness.verdict.gates.DetectionGate", LatencyGate),
        right="rig_failure",
        wrong="fail",
    ),
    Mutant(
        "others that use less than the service excuse it",
        burns_its_cores,
        swap("harness.verdict.bad_seconds.taken.is_taken", lambda record: record.rig_waited_s >= 0.1),
        right="fail",
        wrong="rig_failure",
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_the_mistake_changes_a_verdict(mutant: Mutant, tmp_path: Path) -> None:
    run_dir = mutant.make().write(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        mutant.patch(patch)
        assert verdict.judge(Evidence.load(run_dir)).verdict == mutant.wrong
    assert verdict.judge(Evidence.load(run_dir)).verdict == mutant.right


# ---------------------------------------------------------------- what queued up


@pytest.mark.parametrize(
    ("by_ms", "until_s"),
    [(0, 30), (90, 30), (1_200, 32), (3_000, 33), (50_000, 40)],
    ids=["at once", "as ever", "a second", "three seconds", "no longer than the spell"],
)
def test_the_seconds_in_which_old_requests_are_open_are_left_out_too(
    by_ms: float, until_s: int, tmp_path: Path
) -> None:
    """Requests due from 20 s to 30 s take so much longer, and so do those due since, each by less."""
    made = record(make_plan(upstreams=(), duration_ms=60_000)).slowed(20_000, 30_000, by_ms)
    made.slowed(30_000, 31_000, by_ms / 2)
    run = Evidence.load(made.write(tmp_path))
    assert backlog_seconds(run, frozenset(range(20, 30))) == frozenset(range(30, until_s))


def test_a_hung_request_before_a_spell_is_no_queue(tmp_path: Path) -> None:
    run = Evidence.load(record(make_plan(duration_ms=60_000)).slowed(10_000, 11_000, 40_000).write(tmp_path))
    assert backlog_seconds(run, frozenset({20, 21, 22})) == frozenset()
    assert backlog_seconds(run, frozenset()) == frozenset()


def test_a_message_names_the_seconds_and_the_programs(tmp_path: Path) -> None:
    made = record(make_plan(gates=["p99 < 1s"])).slowed(20_000, 40_000, 1_200)
    made.beside(20, 40, rig_waited_s=0.4, programs={"cc1plus": 1.1, "dd": 0.5})
    assert judged(made, tmp_path).reason == (
        "the machine was busy with something else: in 20 of 110 seconds (20 s to 40 s) others (cc1plus, dd) used 1.6 "
        "of 2 cores, while the service waited 1.2 s a second for one and the rig 0.4 s, and without those seconds "
        "`p99 < 1s` does not fail"
    )


def test_the_baseline_of_a_comparison_stays_as_it_was_measured(tmp_path: Path) -> None:
    made = record(make_plan(faults=[slow_fault()]), policy="timeout").slowed(-9_000, 999_000, 500).beside(*ALL)
    run = Evidence.load(made.write(tmp_path))
    spared = without_waiting(run, taken_seconds(run), spare_baseline=True)
    baseline = within(made, *run.phase("baseline").intervals[0])
    assert (spared.latency_ns == run.latency_ns)[baseline].all()
    assert (spared.latency_ns < run.latency_ns)[~baseline].any()
