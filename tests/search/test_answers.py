"""What follows from a search's curves: replicas for a target, and what would decide a rate that was left undecided."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import UsageError
from harness.rundir.plan import Plan
from harness.rundir.searches.capacity import LoadStep, StepGate
from harness.search.answers.certificates import certificates
from harness.search.answers.replicas import ASSUMPTION, replicas_for
from harness.search.answers.short_soak import refuse_short_soak
from harness.search.answers.would_decide import would_decide
from tests.rundir.recording import make_plan
from tests.search.steps import step
from tests.search.test_conclusion import curve

# ---------------------------------------------------------------- replicas


@pytest.mark.parametrize(("target", "replicas"), [(1, 2), (180, 2), (180.1, 3), (500, 4), (540, 4), (541, 5)])
def test_one_replica_more_than_carry_the_target(target: float, replicas: int) -> None:
    (planned,) = replicas_for(target, [curve(180, 200)]).curves
    assert planned.replicas == replicas


def test_each_curve_has_its_own_number_and_the_assumption_stands_beside() -> None:
    planned = replicas_for(500, [curve(180, 200), curve(140, 160, "azure-slow")])
    assert planned.sentence == (
        "500/s with one replica gone: 4 replicas (3 × 180/s); with azure-slow on 5 replicas (4 × 140/s)"
    )
    assert planned.assumption == ASSUMPTION


def test_of_a_rate_that_is_only_a_lower_bound_the_number_is_an_upper_one() -> None:
    planned = replicas_for(500, [curve(180, None, at_least=True), curve(None, 1, "azure-slow")])
    assert [each.at_most for each in planned.curves] == [True, False]
    assert "at most 4 replicas" in planned.sentence
    assert "with azure-slow on not known, since no rate is certified" in planned.sentence
    assert replicas_for(500, []).sentence.endswith("nothing was measured")


# ---------------------------------------------------------------- what would decide


def gate(verdict: str, *, exceeded: int | None = 0, n: int = 2_400, text: str = "p99 < 300ms") -> StepGate:
    return StepGate.model_validate(
        {"text": text, "observed": 1, "low": None, "high": None, "limit": 300, "unit": "ms", "breaks": False}
        | {"verdict": verdict, "exceeded": exceeded, "n": n}
    )


def soak(rate_per_s: float, outcome: str, *gates: StepGate, **fields: Any) -> LoadStep:
    return step(rate_per_s, outcome, purpose="soak", alpha=0.05, seconds=120.0, gates=gates, **fields)


PLAN: Plan = make_plan()


def test_a_soak_that_was_too_short_for_its_share_says_how_long_decides_it() -> None:
    said = would_decide([soak(20, "undecided", gate("inconclusive", exceeded=19))], PLAN)
    assert said.startswith(
        "at 20/s 2m 00s left `p99 < 300ms` (19 of 2,400 requests count against it) undecided; --soak "
    )
    length_s = float(said.partition("--soak ")[2].partition("s ")[0])
    assert 600 <= length_s <= 900
    assert said.endswith("if that share goes on and comes evenly")


def test_a_share_above_the_limit_is_decided_by_a_fail() -> None:
    said = would_decide([soak(20, "undecided", gate("inconclusive", exceeded=30))], PLAN)
    assert "--soak" in said


def test_a_share_at_the_limit_is_decided_by_no_soak() -> None:
    said = would_decide([soak(20, "undecided", gate("inconclusive", exceeded=24))], PLAN)
    assert said.endswith("no load of a day would decide it: its share is at the limit")


def test_a_gate_that_no_share_decides_needs_twice_the_load() -> None:
    said = would_decide([soak(20, "undecided", gate("inconclusive", exceeded=None, text="throughput > 30/s"))], PLAN)
    assert said == "at 20/s 2m 00s left `throughput > 30/s` undecided; --soak 250s would decide it"


def test_the_highest_undecided_rate_is_the_one_that_is_spoken_of() -> None:
    undecided = gate("inconclusive", exceeded=19)
    assert would_decide([soak(36, "undecided", undecided), soak(20, "undecided", undecided)], PLAN).startswith(
        "at 36/s"
    )


def refute(rate_per_s: float, outcome: str, *gates: StepGate) -> LoadStep:
    return step(rate_per_s, outcome, purpose="refute", alpha=0.05, seconds=60.0, gates=gates)


def test_with_both_certificates_nothing_is_missing() -> None:
    certified = [soak(36, "undecided", gate("inconclusive")), soak(20, "held", gate("pass"))]
    assert would_decide([*certified, refute(64.8, "broke")], PLAN) == ""
    assert would_decide([step(20), step(36, "broke")], PLAN) == ""


def test_a_higher_rate_whose_soak_was_undecided_is_missing_where_nothing_is_refuted() -> None:
    said = would_decide([soak(36, "undecided", gate("inconclusive", exceeded=19)), soak(20, "held")], PLAN)
    assert said.startswith("at 36/s 2m 00s left `p99 < 300ms`") and "--soak" in said


def test_a_load_that_was_to_fail_says_how_long_it_would_have_to_be() -> None:
    held = soak(20, "held", gate("pass"))
    said = would_decide([held, refute(36, "undecided", gate("inconclusive", exceeded=40, n=2_000))], PLAN)
    assert said.startswith("at 36/s 60.0 s left `p99 < 300ms` (40 of 2,000") and "--step" in said
    assert would_decide([held, refute(36, "held"), refute(40, "held")], PLAN) == (
        "the loads that were to fail held, up to 40/s; --from 40/s goes on there"
    )


def test_a_load_that_was_run_once_more_has_no_word_in_it() -> None:
    late = step(36, "generator", reason="late")
    rising = step(36, "undecided", reason="not stationary")
    broke = step(36, "broke")
    assert would_decide([late, broke, rising, broke], PLAN) == ""
    assert would_decide([rising], PLAN) == "", "a queue is no want of requests"


def test_an_undecided_soak_without_an_open_gate_has_its_reason() -> None:
    queue = soak(20, "undecided", gate("pass"), reason="not stationary: it still rose")
    assert would_decide([queue], PLAN) == "at 20/s 2m 00s left it undecided: not stationary: it still rose"


def test_loads_in_which_nothing_could_be_judged_need_a_higher_rate() -> None:
    why = "nothing came that `p99 of azure < 1s` could judge"
    nothing = step(1, "undecided", reason=why, nothing_for=why)
    assert would_decide([nothing], PLAN) == (
        "at 1/s nothing came that `p99 of azure < 1s` could judge; a higher --from would decide it"
    )


def test_where_the_load_generator_gave_out_the_answer_says_at_which_rate_and_why() -> None:
    late = step(64.8, "generator", reason="17 arrivals were not sent")
    steps = [step(20), step(36), late, soak(36, "held", gate("pass"))]
    assert (
        would_decide(steps, PLAN) == "at 64.8/s the load generator or the machine gave out: 17 arrivals were not sent"
    )
    refuted = step(50, "broke", purpose="refute")
    assert would_decide([*steps, refuted], PLAN) == ""


def test_a_load_whose_generator_gave_out_below_a_rate_that_passed_leaves_nothing_open() -> None:
    killed = step(20, "generator", reason="locust-0 ended with signal 9")
    assert would_decide([killed, step(20), step(36), soak(36, "held", gate("pass"))], PLAN) == ""


# ---------------------------------------------------------------- a soak that is too short


def refused_soak(gates: list[str], soak_ms: float, rate_per_s: float | None = None) -> UsageError:
    plan = make_plan(gates=gates)
    with pytest.raises(UsageError) as caught:
        refuse_short_soak(plan, plan.gates, soak_ms, rate_per_s)
    return caught.value


def test_a_soak_in_which_a_gate_could_not_pass_is_refused_with_the_length_that_could() -> None:
    error = refused_soak(["errors < 5%", "p99 < 2s"], 15_000)
    assert error.message == "--soak 15.0 s is too short: `p99 < 2s` needs 29.9 s, with nothing slow, to pass"
    assert "--soak 29.9s or longer" in error.fix


def test_where_the_rate_is_known_as_many_requests_must_come_too() -> None:
    error = refused_soak(["p99 < 2s"], 120_000, 2.0)
    assert "`p99 < 2s` needs 2m 30s at 2/s" in error.message
    assert "--soak 149.5s or longer" in error.fix


@pytest.mark.parametrize(("soak_ms", "rate_per_s"), [(29_900, None), (29_900, 10.0), (120_000, 2.5)])
def test_a_soak_that_is_long_enough_is_taken(soak_ms: float, rate_per_s: float | None) -> None:
    plan = make_plan(gates=["p99 < 2s", "errors < 5%"])
    refuse_short_soak(plan, plan.gates, soak_ms, rate_per_s)


# ---------------------------------------------------------------- on what it rests


def test_an_answer_names_its_gates_and_how_long_its_loads_were() -> None:
    certified = [step(20), soak(20, "held", gate("pass")), refute(36, "broke", gate("fail"))]
    told = "judged by `p99 < 300ms`, 95 % sure; passed in 2m 00s and failed in 60.0 s of load"
    assert certificates([("health", certified)], 0.95) == [told]
    assert certificates([("health", certified), ("azure-slow", certified)], 0.95) == [told]


def test_curves_that_rest_on_something_else_are_named() -> None:
    passed, other = [soak(20, "held", gate("pass"))], [soak(20, "held", gate("pass", text="p99 < 1s"))]
    assert certificates([("health", passed), ("azure-slow", other), ("gcp-slow", [step(20)])], 0.9) == [
        "health: judged by `p99 < 300ms`, 90 % sure; passed in 2m 00s of load",
        "azure-slow: judged by `p99 < 1s`, 90 % sure; passed in 2m 00s of load",
    ]
    back = [soak(20, "held", gate("pass", exceeded=None, text="recovery < 15s after azure-outage"))]
    assert certificates([("azure outage", back)], 0.95) == [
        "judged by `recovery < 15s after azure-outage`; passed in 2m 00s of load"
    ]
    assert certificates([("health", [step(20)])], 0.95) == []
