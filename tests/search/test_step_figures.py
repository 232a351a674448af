"""How one load ended, of recordings that are made up: what blames the service, and what the machine or the slots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import RigError
from harness.rundir.plan import PlannedGate
from harness.rundir.planned.fault import PlannedToxic
from harness.rundir.rows import Outcome
from harness.rundir.searches.capacity import LoadStep, StepPurpose
from harness.search.capacity import cores_used
from harness.search.level_search import WantedLoad
from harness.search.limiter import limiter_of
from harness.search.stack_loads import LoadRun
from harness.search.step_figures import step_of
from harness.search.witnesses.thread_load import BusiestThread
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.search.steps import step as step_at

GATE = "p99 < 800ms"
EXPLORE = WantedLoad("explore", 40)
SOAK = WantedLoad("soak", 40, alpha=0.05)


def recording(duration_ms: float = 60_000, gate: str = GATE, **load: Any) -> Recording:
    plan = make_plan(duration_ms=duration_ms, gates=(gate,), guard_ms=0)
    return record(plan.model_copy(update={"load": plan.load.model_copy(update=load)}))


def judged(made: Recording, folder: Path, load: WantedLoad = EXPLORE) -> LoadStep:
    step, _ = step_of(LoadRun(made.write(folder / "load-000"), BusiestThread(0.4, 0.1)), load, load.purpose, ())
    return step


def test_a_load_that_held_has_its_figures(tmp_path: Path) -> None:
    step = judged(recording(), tmp_path, SOAK)
    assert (step.outcome, step.reason, step.stationary) == ("held", "every gate passed", True)
    assert step.n == pytest.approx(2_400, rel=0.1)
    assert step.p99_low_ms is not None and step.p99_high_ms is not None and step.p99_ms is not None
    assert step.p99_low_ms <= step.p99_ms <= step.p99_high_ms
    assert step.in_flight_mean == pytest.approx(step.little or 0, rel=0.1)
    assert (step.refused, step.busiest_thread, step.busiest_waited) == (0, 0.4, 0.1)
    assert [(gate.text, gate.exceeded, gate.verdict) for gate in step.gates] == [(GATE, 0, "pass")]


def test_of_a_load_too_short_for_a_bound_there_is_none(tmp_path: Path) -> None:
    assert judged(recording(duration_ms=6_000), tmp_path).p99_high_ms is None


@pytest.mark.parametrize("load", [EXPLORE, SOAK])
def test_slow_requests_break_it(tmp_path: Path, load: WantedLoad) -> None:
    step = judged(recording().slowed(0, 60_000, 900), tmp_path, load)
    assert step.outcome == "broke" and GATE in step.reason


def rising(to_ms: float, gate: str = GATE) -> Recording:
    """24 s of load whose requests take longer and longer, by `to_ms` at the end."""
    made = recording(24_000, gate)
    t_ms = (made.samples["intended_ns"] - T0_NS) / 1e6
    made.samples["done_ns"] += (np.clip(t_ms / 24_000, 0, 1) * to_ms * 1e6).astype(np.int64)
    return made


REPEATED = WantedLoad("explore", 40, pooled=1)


@pytest.mark.parametrize(
    ("load", "outcome"), [(EXPLORE, "undecided"), (REPEATED, "broke"), (SOAK, "undecided")], ids=str
)
def test_what_may_be_a_queue_by_chance_needs_a_second_load_that_shows_one(
    tmp_path: Path, load: WantedLoad, outcome: str
) -> None:
    step = judged(rising(500), tmp_path, load)
    assert (step.outcome, step.stationary) == (outcome, False)
    assert "requests in flight still rose at the end, from 11 to 18" in step.reason


@pytest.mark.parametrize("load", [EXPLORE, REPEATED, SOAK], ids=str)
def test_a_sure_queue_breaks_a_load_whose_gates_hold(tmp_path: Path, load: WantedLoad) -> None:
    step = judged(rising(5_000, "p99 < 30s"), tmp_path, load)
    assert (step.outcome, step.stationary) == ("broke", False)
    assert step.reason.startswith("not stationary: requests in flight still rose")


def test_where_the_gates_break_too_they_are_the_reason(tmp_path: Path) -> None:
    step = judged(rising(500, "p99 < 400ms"), tmp_path)
    assert (step.outcome, step.reason, step.stationary) == ("broke", "`p99 < 400ms` did not hold", True)


def test_a_load_that_broke_while_others_took_the_cores_says_nothing_of_the_service(tmp_path: Path) -> None:
    step = judged(recording().slowed(10_000, 50_000, 900).beside(10, 50), tmp_path)
    assert step.outcome == "generator", step.reason
    some = judged(recording().slowed(0, 60_000, 900).beside(10, 14), tmp_path / "some")
    assert some.outcome == "broke"


def test_a_short_load_says_of_a_service_what_its_other_gates_say(tmp_path: Path) -> None:
    """`cpu` needs ten seconds of readings, and a return load has four."""

    def ended(folder: str, purpose: StepPurpose, made: Recording, *gates: str) -> str:
        plan = made.plan.model_copy(update={"gates": tuple(PlannedGate(id=g, text=g, line=0) for g in gates)})
        made.plan = plan
        return step_of(LoadRun(made.write(tmp_path / folder), None), EXPLORE, purpose, ())[0].outcome

    assert ended("back", "return", recording(4_000), GATE, "cpu < 50ms") == "held"
    assert ended("slow", "return", recording(4_000).slowed(0, 4_000, 900), GATE, "cpu < 50ms") == "broke"
    assert ended("alone", "return", recording(4_000), "cpu < 50ms") == "undecided"
    assert ended("explored", "explore", recording(4_000), GATE, "cpu < 50ms") == "undecided"


def test_the_cores_of_the_machine_are_those_of_all_that_ran(tmp_path: Path) -> None:
    alone = judged(recording().beside(0, 0), tmp_path / "alone")
    assert alone.machine_cores == pytest.approx(0.3 + 0.1 + 0.05)
    half = judged(recording().beside(0, 30, others_s=0.65, used_s=0.9), tmp_path / "half")
    assert half.machine_cores == pytest.approx((0.45 + 0.9 + 0.1 + 0.65) / 2)
    assert judged(recording(), tmp_path / "unknown").machine_cores is None


@pytest.mark.parametrize(("figures", "used"), [({}, 1.3), ({"machine_cores": 1.7}, 1.7), ({"machine_cores": 0.2}, 1.3)])
def test_what_is_not_known_of_the_machine_is_at_least_the_services(figures: dict[str, float], used: float) -> None:
    assert cores_used(step_at(40, "broke", cpu_cores=0.9, load_cores=0.4, **figures)) == pytest.approx(used)


def delayed(by_ms: int, deadline_ms: float) -> Recording:
    """An upstream whose answers Toxiproxy delays for the whole load, and a service that waits for each so long."""
    fault = slow_fault(apply_ms=-1_000, remove_ms=70_000, delay_ms=by_ms).model_copy(
        update={"toxics": (PlannedToxic(type="latency", stream="downstream", attributes={"latency": by_ms}),)}
    )
    plan = make_plan(duration_ms=60_000, gates=(GATE,), guard_ms=0, faults=[fault], gateway_timeout_ms=90_000)
    return record(plan, policy="timeout", deadline_ms=deadline_ms)


@pytest.mark.parametrize(("by_ms", "deadline_ms", "open_s"), [(500, 2_000.0, 0.56), (60_000, 1_000.0, 1.0)])
def test_calls_are_open_for_the_service_until_their_delay_has_passed_or_their_request_has_ended(
    tmp_path: Path, by_ms: int, deadline_ms: float, open_s: float
) -> None:
    azure, gcp, _ = judged(delayed(by_ms, deadline_ms), tmp_path).upstreams
    assert azure.in_flight_mean == pytest.approx(40 * 0.065, rel=0.15), "what the upstream sees"
    assert azure.open_mean == pytest.approx(40 * open_s, rel=0.1)
    assert azure.open_mean is not None and azure.open_most is not None and azure.open_most > azure.open_mean
    assert azure.refill_ratio is not None and azure.refill_ratio > 0.8, "nothing limits them"
    assert (gcp.open_mean, gcp.open_most) == pytest.approx((gcp.in_flight_mean, gcp.in_flight_most), rel=0.3)
    assert azure.connections_most is not None and gcp.connections_most is None


def dropped(made: Recording, every: int) -> Recording:
    """Arrivals that found no slot."""
    rows = np.flatnonzero(made.samples["seq"] % every == 0)
    made.samples["outcome"][rows] = Outcome.DROPPED
    made.samples["status"][rows] = 0
    made.samples["done_ns"][rows] = made.samples["intended_ns"][rows]
    made.calls = made.calls[~np.isin(made.calls["seq"], made.samples["seq"][rows])]
    return made


def test_where_the_slots_that_the_scenario_allows_are_full_the_service_is_not_blamed(tmp_path: Path) -> None:
    step = judged(dropped(recording(max_in_flight=8, slots_cut=True), 30), tmp_path)
    assert step.outcome == "generator"
    assert "no more than 8 requests may be open at once" in step.reason


def test_a_service_that_broke_anyhow_is_blamed_with_full_slots_too(tmp_path: Path) -> None:
    step = judged(dropped(recording(max_in_flight=8, slots_cut=True).slowed(0, 60_000, 900), 30), tmp_path, SOAK)
    assert step.outcome == "broke"


def scrambled(seed: int, by_ms: int | None) -> Recording:
    """A load of 60 s in which each request ended at some other time, in some other way or not at all, and each call
    came and went at some other time. `by_ms`: the delay of a standing fault; None: there is none."""
    made = delayed(by_ms, 2_000.0) if by_ms else recording()
    rng = np.random.default_rng(seed)
    samples, calls = made.samples, made.calls
    spread_ms = float(10 ** rng.uniform(0, 5))
    samples["done_ns"] = samples["intended_ns"] + (rng.exponential(spread_ms, len(samples)) * 1e6).astype(np.int64)
    kinds = [Outcome.OK, Outcome.HTTP_ERROR, Outcome.GATEWAY_TIMEOUT, Outcome.CONNECTION_ERROR, Outcome.UNFINISHED]
    samples["outcome"] = rng.choice([int(kind) for kind in kinds], len(samples), p=rng.dirichlet([0.3] * len(kinds)))
    calls["arrived_ns"] += (rng.normal(0, spread_ms, len(calls)) * 1e6).astype(np.int64)
    calls["done_ns"] = calls["arrived_ns"] + (rng.exponential(spread_ms, len(calls)) * 1e6).astype(np.int64)
    made.calls = calls[rng.random(len(calls)) < rng.uniform(0, 1.2)]
    return made


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), by_ms=st.sampled_from([None, 500, 60_000]), load=st.sampled_from([EXPLORE, SOAK]))
def test_whatever_was_recorded_has_figures_or_fails_the_rig(
    tmp_path: Path, seed: int, by_ms: int | None, load: WantedLoad
) -> None:
    folder = tmp_path / f"{seed}-{by_ms}-{load.purpose}"
    try:
        step = judged(scrambled(seed, by_ms), folder, load)
    except RigError:
        return
    assert limiter_of([step], cores=2.0, capacities={}).kind
    assert LoadStep.model_validate_json(step.model_dump_json()) == step
