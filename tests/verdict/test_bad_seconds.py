"""Was it the machine? The rule for one second, and what a run with such seconds is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.evidence.cores import CoreSeconds
from harness.rundir.finding_kind import FindingKind
from harness.rundir.manifest import ProcessExit, RunEnd
from harness.rundir.planned.command import PlannedCommand
from harness.rundir.planned.service import PlannedService
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.results import Results
from harness.rundir.rows import Outcome
from harness.verdict.bad_seconds.taken import is_taken, taken_seconds
from harness.verdict.bad_seconds.waiting import without_waiting
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault

GATE = "p99 < 1s"


def slow_beside(from_s: int = 20, to_s: int = 40, *, by_ms: float = 1_200, gate: str = GATE) -> Recording:
    """Slow for some seconds, in which others took the cores."""
    made = record(make_plan(gates=[gate])).slowed(from_s * 1_000, to_s * 1_000, by_ms)
    return made.beside(from_s, to_s)


def judged(made: Recording, tmp_path: Path) -> Results:
    return verdict.judge(Evidence.load(made.write(tmp_path)))


def check(results: Results, name: str = "cores") -> tuple[bool, str]:
    return next((one.ok, one.detail) for one in results.validity if one.check == name)


# ---------------------------------------------------------------- one second


@pytest.mark.parametrize(
    ("case", "figures", "cores", "taken"),
    [
        ("busy loops on both cores, and a service that needs little", (1.2, 0.3, 1.6), 2, True),
        ("an idle machine", (0.01, 0.3, 0.05), 2, False),
        ("others are busy, and the service does not wait", (0.05, 0.3, 1.2), 2, False),
        ("the service waits for cores that it uses up itself", (6.0, 1.95, 0.05), 2, False),
        ("the same, with others that are modestly busy", (6.0, 1.3, 0.6), 2, False),
        ("one thread that always runs, beside a busy loop", (0.15, 0.85, 0.9), 2, False),
        ("a core of its own, with a busy loop on it", (0.5, 0.4, 0.5), 1, True),
        ("a core of its own, which it uses up", (3.0, 1.0, 0.0), 1, False),
        ("others use four of 32 cores", (0.5, 0.3, 4.0), 32, False),
        ("others use eight of 32 cores, and still it waits", (0.5, 0.3, 8.0), 32, True),
        ("exactly the least of each", (0.1, 0.4, 0.5), 2, True),
        ("others a little below", (0.1, 0.4, 0.49), 2, False),
        ("waited a little less", (0.099, 0.3, 1.6), 2, False),
        ("used a little more than others", (0.2, 0.51, 0.5), 2, False),
        ("waited a little less in proportion", (0.2, 0.81, 1.0), 2, False),
    ],
)
def test_a_second_is_taken_or_not(case: str, figures: tuple[float, float, float], cores: int, taken: bool) -> None:
    """`figures`: what the service waited and used, and what others used, in seconds per second."""
    waited_s, used_s, others_s = figures
    assert is_taken(one_second(cores, waited_s, used_s, others_s)).tolist() == [taken], case


def one_second(  # noqa: PLR0917
    cores: int,
    waited_s: float,
    used_s: float,
    others_s: float,
    rig_waited_s: float = 0.0,
    rig_used_s: float = 0.4,
    stolen_s: float = 0.0,
) -> CoreSeconds:
    return CoreSeconds(
        first=0,
        cores=cores,
        waited_s=np.array([waited_s]),
        used_s=np.array([used_s]),
        rig_waited_s=np.array([rig_waited_s]),
        rig_used_s=np.array([rig_used_s]),
        others_s=np.array([others_s]),
        stolen_s=np.array([stolen_s]),
    )


@pytest.mark.parametrize(
    ("case", "second", "taken"),
    [
        ("the fakes waited, the service did not", one_second(2, 0.02, 0.3, 1.6, 0.6), True),
        ("the rig waited in vain for what the service used up", one_second(2, 0.05, 1.7, 0.3, 2.0), False),
        ("the rig waited a little less than a tenth of a second", one_second(2, 0.02, 0.3, 1.6, 0.099, 0.3), False),
        ("a rig that always runs waited between", one_second(2, 0.02, 0.3, 1.0, 0.15, 0.8), False),
        ("the hypervisor took a core, which is no run delay", one_second(2, 0.0, 0.3, 1.0, stolen_s=1.0), True),
        ("the hypervisor took a little", one_second(2, 0.0, 0.3, 0.09, stolen_s=0.09), False),
    ],
)
def test_the_rig_stands_in_the_path_too(case: str, second: CoreSeconds, taken: bool) -> None:
    assert is_taken(second).tolist() == [taken], case


# ---------------------------------------------------------------- a run


def test_a_fail_that_rests_on_taken_seconds_is_the_machines(tmp_path: Path) -> None:
    results = judged(slow_beside(), tmp_path)
    assert (results.verdict, results.exit_code) == ("rig_failure", 4)
    assert results.gates[0].verdict == "fail", "the gate shows what was measured"
    assert results.reason == (
        "the machine was busy with something else: in 20 of 110 seconds (20 s to 40 s) others used 1.6 of 2 cores, "
        "while the service waited 1.2 s a second for one, and without those seconds `p99 < 1s` does not fail"
    )
    assert check(results) == (False, results.reason)
    assert results.next.startswith("Free the machine")
    (cores,) = results.cores
    assert cores is not None
    assert (cores.cores, cores.seconds, cores.taken) == (2, 110, ((20, 40),))
    assert (cores.waited_most_s, cores.others_most_s) == pytest.approx((1.2, 1.6))
    assert cores.waited_s_per_s == pytest.approx((20 * 1.2 + 90 * 0.02) / 110)
    assert cores.others_s_per_s == pytest.approx((20 * 1.6 + 90 * 0.05) / 110)


def test_a_fail_that_holds_without_them_stands(tmp_path: Path) -> None:
    results = judged(slow_beside().slowed(60_000, 80_000, 1_200), tmp_path)
    assert results.verdict == "fail"
    ok, detail = check(results)
    assert ok
    assert detail.endswith("no verdict rests on those seconds")


def test_a_pass_is_a_pass_whatever_others_did(tmp_path: Path) -> None:
    results = judged(slow_beside(by_ms=300), tmp_path)
    assert results.verdict == "pass"
    assert "in 20 of 110 seconds" in check(results)[1]


def test_where_they_took_all_seconds_nothing_can_be_said(tmp_path: Path) -> None:
    made = record(make_plan(gates=[GATE])).slowed(-9_000, 999_000, 1_200).beside(-1, 200)
    results = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    assert "in 110 of 110 seconds" in results.reason
    assert results.reason.endswith("without those seconds `p99 < 1s` cannot be decided")


@pytest.mark.parametrize("by_ms", [1_200, 5_000])
def test_seconds_are_not_chosen_to_hide_a_slow_service(by_ms: float, tmp_path: Path) -> None:
    """It is slow all the time, and others take the cores for half of it."""
    made = record(make_plan(gates=[GATE])).slowed(-9_000, 999_000, by_ms).beside(20, 75)
    assert judged(made, tmp_path).verdict == "fail"


def test_a_service_that_died_is_a_fail_whatever_others_did(tmp_path: Path) -> None:
    made = slow_beside()
    death = ProcessExit(child="sut", t_ns=T0_NS + 100_000_000_000, code=-9)
    made.manifest = made.manifest.model_copy(update={"ended": RunEnd(reason="done", deaths=(death,))})
    results = judged(made, tmp_path)
    assert results.verdict == "fail"
    assert [(one.verdict, one.kind) for one in results.gates] == [
        ("inconclusive", FindingKind.RESTS_ON_CORES),
        ("fail", FindingKind.SERVICE_ENDED),
    ]
    assert results.gates[0].reason.startswith("without the seconds in which others took the cores `p99 < 1s` does not")
    assert check(results)[0]


def test_a_pass_by_comparison_with_a_baseline_that_others_made_slow(tmp_path: Path) -> None:
    """Without those seconds the baseline is quicker, and the limit with it."""
    made = record(
        make_plan(faults=[slow_fault()], gates=["p90 < 1.5x baseline during azure-slow"], gateway_timeout_ms=9_000),
        policy="timeout",
    )
    made.slowed(5_000, 15_000, 1_500).beside(5, 15)
    results = judged(made, tmp_path)
    assert results.verdict == "rig_failure"
    assert results.reason.endswith("fails")


def test_late_and_taken_seconds_are_left_out_together(tmp_path: Path) -> None:
    """Each of them alone leaves enough slow requests for a FAIL."""
    plan = make_plan(gates=[GATE])
    made = record(plan, lag_ms=lambda t_ms: np.where((t_ms >= 60_000) & (t_ms < 80_000), 1_500, 0.2))
    results = judged(made.slowed(20_000, 40_000, 1_200).beside(20, 40), tmp_path)
    assert results.verdict == "rig_failure"
    assert [one.check for one in results.validity if not one.ok] == ["cores"]


def test_lag_alone_is_not_blamed_on_others(tmp_path: Path) -> None:
    plan = make_plan(gates=[GATE])
    made = record(plan, lag_ms=lambda t_ms: np.where((t_ms >= 60_000) & (t_ms < 80_000), 1_500, 0.2)).beside(20, 40)
    results = judged(made, tmp_path)
    assert [one.check for one in results.validity if not one.ok] == ["lag"]


@pytest.mark.parametrize(("used_s", "verdict"), [(0.5, "rig_failure"), (0.7, "fail")])
def test_a_service_that_needs_more_cores_than_it_has_is_not_excused(
    used_s: float, verdict: str, tmp_path: Path
) -> None:
    """It worked on a fifth of the requests, and the others found no time: for all of them it needs five times as much
    as it used, and it has two cores."""
    made = record(make_plan(gates=[GATE])).slowed(-9_000, 999_000, 1_200)
    starved = made.samples["seq"] % 5 != 0
    made.samples["outcome"][starved] = Outcome.GATEWAY_TIMEOUT
    made.samples["done_ns"][starved] = made.samples["intended_ns"][starved] + 2_000_000_000
    made.calls = made.calls[made.calls["seq"] % 5 == 0]
    made.beside(-1, 200, others_s=1.4, waited_s=3.0, used_s=used_s)
    results = judged(made, tmp_path)
    assert results.verdict == verdict
    if verdict == "fail":
        assert "so nothing is put down to others" in check(results)[1]
        assert results.cores[0] is not None
        assert results.cores[0].taken == ()


def test_what_a_service_needs_is_not_known_from_a_few_requests(tmp_path: Path) -> None:
    made = record(make_plan(gates=[GATE])).slowed(-9_000, 999_000, 1_200).beside(-1, 200, used_s=1.0)
    made.samples["outcome"] = Outcome.GATEWAY_TIMEOUT
    made.samples["done_ns"] = made.samples["intended_ns"] + 2_000_000_000
    made.calls = made.calls[made.calls["seq"] < 19]
    assert judged(made, tmp_path).verdict == "rig_failure"


def busy_all_the_time(made: Recording) -> Recording:
    return made.beside(-1, 200, others_s=1.6, waited_s=1.4)


def test_a_service_that_waits_for_a_hung_upstream_is_not_excused(tmp_path: Path) -> None:
    """The gateway gives up after 2 s. Others could have held each request up for longer than that."""
    plan = make_plan(faults=[slow_fault()], gates=["p99 < gateway.timeout during azure-slow"])
    assert judged(busy_all_the_time(record(plan, policy="parallel")), tmp_path).verdict == "fail"


def test_a_service_that_waits_for_a_slow_upstream_is_not_excused(tmp_path: Path) -> None:
    """Its answers are ok, and the slow rows are in them."""
    fault = slow_fault(delay_ms=3_000, held_ms=3_000)
    plan = make_plan(faults=[fault], gates=["p99 < 2s during azure-slow"], gateway_timeout_ms=9_000)
    assert judged(busy_all_the_time(record(plan, policy="parallel")), tmp_path).verdict == "fail"


def test_a_service_that_gave_the_upstream_up_is_excused(tmp_path: Path) -> None:
    plan = make_plan(faults=[slow_fault()], gates=["p99 < 1.5s during azure-slow"], gateway_timeout_ms=9_000)
    made = record(plan, policy="timeout").slowed(-9_000, 999_000, 900)
    assert judged(busy_all_the_time(made), tmp_path).verdict == "rig_failure"


# ---------------------------------------------------------------- where it is unknown


def _of_service(made: Recording, child: str, key: str, value: object) -> Recording:
    for line in made.resources:
        if line["child"] == child:
            line[key] = value
    return made


def without_schedstat() -> Recording:
    return _of_service(slow_beside(), "sut", "run_delay_s", None)


def without_others() -> Recording:
    return _of_service(slow_beside(), "machine", "others_cpu_s", None)


def of_an_older_version() -> Recording:
    made = slow_beside()
    made.resources = [
        {key: line[key] for key in ("t_ns", "child", "cpu_s")} for line in made.resources if line["child"] == "sut"
    ]
    return made


def by_url() -> Recording:
    made = slow_beside()
    made.plan = made.plan.model_copy(update={"service": PlannedService(kind="url", url="http://127.0.0.1:20200")})
    return made


def _with_upstream(**changes: object) -> Recording:
    made = slow_beside()
    first: PlannedUpstream = made.plan.upstreams[0].model_copy(update={"fake": None, **changes})
    made.plan = made.plan.model_copy(update={"upstreams": (first, *made.plan.upstreams[1:])})
    return made


def beside_a_real_upstream() -> Recording:
    return _with_upstream()


def beside_a_container() -> Recording:
    return _with_upstream(command=PlannedCommand(argv=("/usr/bin/docker", "run", "postgres"), port=20_300))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (without_schedstat, "the system did not say"),
        (without_others, "the system did not say"),
        (of_an_older_version, "the system did not say"),
        (by_url, "the service is not one of the run's processes"),
        (beside_a_real_upstream, "what azure uses cannot be told from what others use"),
        (beside_a_container, "what azure uses cannot be told from what others use"),
    ],
    ids=lambda given: given.__name__ if callable(given) else "",
)
def test_what_is_unknown_excuses_nothing(make, why: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    results = judged(make(), tmp_path)
    assert results.gates[0].verdict == "fail"
    assert check(results) == (True, f"who used the cores is unknown: {why}")
    assert results.cores == (None,)
    assert "cores" not in {one.check for one in results.validity if not one.ok}


# ---------------------------------------------------------------- as if no request had been held up


def held(made: Recording, tmp_path: Path) -> tuple[Evidence, Evidence]:
    run = Evidence.load(made.write(tmp_path))
    return run, without_waiting(run, taken_seconds(run))


def test_a_request_is_answered_earlier_by_what_others_used_while_it_was_open(tmp_path: Path) -> None:
    made = record(make_plan(duration_ms=20_000)).beside(5, 10, others_s=0.6, waited_s=0.9)
    made.samples["intended_ns"] = made.samples["sent_ns"] = T0_NS + 8_500_000_000
    made.samples["done_ns"] = T0_NS + 11_500_000_000
    run, quicker = held(made, tmp_path)
    assert set(run.latency_ns.tolist()) == {3_000_000_000}
    assert set(quicker.latency_ns.tolist()) == {1_800_000_000}, "two taken seconds of 0.6 s each"


def test_no_request_is_answered_before_its_upstreams_have_answered(tmp_path: Path) -> None:
    """All of them were open for less than others used in their second."""
    run, quicker = held(record(make_plan(duration_ms=20_000)).beside(-1, 40), tmp_path)
    longest_ns = np.zeros(len(run.samples), np.int64)
    np.maximum.at(longest_ns, run.call_arrivals, run.calls["done_ns"] - run.calls["arrived_ns"])
    assert quicker.latency_ns.tolist() == longest_ns.tolist()


def test_an_upstream_that_is_not_in_the_answer_may_have_been_given_up(tmp_path: Path) -> None:
    made = record(make_plan(duration_ms=20_000)).beside(-1, 40)
    made.samples["answered"] = 0
    _, quicker = held(made, tmp_path)
    assert set(quicker.latency_ns.tolist()) == {0}


def test_a_fake_that_was_late_itself_was_held_up_too(tmp_path: Path) -> None:
    made = record(make_plan(duration_ms=20_000)).beside(-1, 40)
    made.calls["due_ns"] = made.calls["arrived_ns"] + 10_000_000
    broken = made.calls["seq"] == 100
    made.calls["faults"][broken] = 1
    run, quicker = held(made, tmp_path)
    assert set(quicker.latency_ns[run.samples["seq"] != 100].tolist()) == {10_000_000}
    assert quicker.latency_ns[100] > 10_000_000, "a fault of the fake makes its answers late"


@pytest.mark.parametrize(
    ("outcome", "seconds", "excused"),
    [
        (Outcome.GATEWAY_TIMEOUT, 2.5, True),
        (Outcome.CLIENT_TIMEOUT, 2.5, True),
        (Outcome.UNFINISHED, 2.5, True),
        (Outcome.DROPPED, 2.5, False),
    ],
)
def test_only_a_timeout_is_excused_and_only_one_held_up_all_the_time(
    outcome: Outcome, seconds: float, excused: bool, tmp_path: Path
) -> None:
    made = record(make_plan(duration_ms=20_000)).beside(-1, 40, others_s=1.6, waited_s=1.2)
    made.samples["outcome"] = outcome
    made.samples["intended_ns"] = T0_NS + 3_000_000_000
    made.samples["done_ns"] = made.samples["intended_ns"] + round(seconds * 1e9)
    _, quicker = held(made, tmp_path)
    assert set(quicker.samples["outcome"].tolist()) == {Outcome.OK if excused else outcome}


def test_a_timeout_that_waiting_explains_in_part_stays(tmp_path: Path) -> None:
    made = record(make_plan(duration_ms=20_000)).beside(-1, 40, others_s=1.6, waited_s=0.5)
    made.samples["outcome"] = Outcome.GATEWAY_TIMEOUT
    made.samples["intended_ns"] = T0_NS + 3_000_000_000
    made.samples["done_ns"] = made.samples["intended_ns"] + 2_500_000_000
    _, quicker = held(made, tmp_path)
    assert set(quicker.samples["outcome"].tolist()) == {Outcome.GATEWAY_TIMEOUT}


def test_nothing_is_changed_where_no_second_is_taken(tmp_path: Path) -> None:
    run, same = held(record(make_plan(duration_ms=20_000)).beside(0, 0), tmp_path)
    assert same is run
