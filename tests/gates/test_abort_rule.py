"""`load.abort_if`: when a safety stop ends a run, and what is judged of a run that it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import verdict
from harness.evidence import Evidence
from harness.gates.abort_rule import AbortRule
from harness.gates.syntax.tokenizer import GateSyntaxError
from harness.rundir.rows import Outcome
from tests.rundir.recording import T0_NS, Recording, make_plan, record, slow_fault
from tests.scenario.world import GOOD, changed, load, only_problem, plan_of

RULE = "errors > 20% for 10s"


def always(*_: object) -> list[tuple[float, float]]:
    return [(-2_000.0, float("inf"))]


def measured(*_: object) -> list[tuple[float, float]]:
    return [(0.0, float("inf"))]


ANY = {"timeouts": tuple(outcome for outcome in Outcome if outcome is not Outcome.OK)}


def failing(from_ms: float, to_ms: float, one_in: int = 2, *gates: str) -> Recording:
    """azure is slow from 35 to 97 s; in the given time one request in so many fails."""
    made = record(
        make_plan(faults=[slow_fault()], gates=gates or ("errors < 50%",), duration_ms=120_000), policy="timeout"
    )
    t_ms = (made.samples["intended_ns"] - T0_NS) / 1e6
    bad = (t_ms >= from_ms) & (t_ms < to_ms) & (made.samples["seq"] % one_in == 0)
    made.samples["outcome"][bad] = Outcome.HTTP_ERROR
    return made


def aborts_at_ms(rule: str, made: Recording) -> tuple[int, str] | None:
    """Ask once a second, with the rows that had ended by then."""
    for t_ms in range(-2_000, 125_000, 1_000):
        rows = made.samples[made.samples["done_ns"] <= T0_NS + t_ms * 1_000_000]
        if why := AbortRule.parse(rule).reason(made.plan, rows, T0_NS):
            return t_ms, why
    return None


@pytest.mark.parametrize(
    ("text", "metric", "share", "for_ms", "phase"),
    [
        (RULE, "errors", 0.2, 10_000, None),
        ("timeouts > 5% for 1m during azure-slow", "timeouts", 0.05, 60_000, "azure-slow"),
        ("dropped > 0.5% for 2s during whole", "dropped", 0.005, 2_000, "whole"),
    ],
)
def test_a_rule_is_read(text: str, metric: str, share: float, for_ms: float, phase: str | None) -> None:
    assert AbortRule.parse(text) == AbortRule(text, metric, share, for_ms, phase)


@pytest.mark.parametrize(
    ("text", "offset", "message", "fix"),
    [
        ("", 0, "ends where", "errors > 20% for 10s"),
        ("http_error > 20% for 10s", 0, "not ended by `http_error`", "errors, timeouts, dropped"),
        ("errors < 20% for 10s", 7, "`>` expected", "errors > 20% for 10s"),
        ("errors > 20", 9, "not a share", "20%"),
        ("errors > 20%", 12, "for how long", "write `errors > 20% for 10s`"),
        ("errors > 20% for 10", 17, "not a duration", "10s or 10ms"),
        ("errors > 20% for 100ms", 17, "once a second", "1s"),
        ("errors > 20% for 10s after x", 21, "holds during a phase", "write `errors > 20% for 10s`"),
    ],
)
def test_what_is_no_rule_says_where_and_why(text: str, offset: int, message: str, fix: str) -> None:
    with pytest.raises(GateSyntaxError) as caught:
        AbortRule.parse(text)
    assert caught.value.offset == offset
    assert message in caught.value.message
    assert fix in caught.value.fix


def test_a_run_that_fails_before_its_fault_is_ended() -> None:
    stopped = aborts_at_ms(RULE, failing(5_000, 30_000))
    assert stopped is not None
    t_ms, why = stopped
    assert 8_000 <= t_ms <= 11_000  # half of them fail, so four seconds are 20 % of the last ten
    assert why.startswith("`errors > 20% for 10s`: ")
    assert "requests that ended in the last 10s" in why


def test_a_short_spell_and_a_small_share_end_nothing() -> None:
    assert aborts_at_ms(RULE, failing(5_000, 8_000)) is None
    assert aborts_at_ms(RULE, failing(0, 30_000, 10)) is None


def test_a_fault_may_do_what_it_is_for() -> None:
    made = failing(40_000, 90_000)
    assert aborts_at_ms(RULE, made) is None
    stopped = aborts_at_ms(f"{RULE} during azure-slow", made)
    assert stopped is not None
    assert 43_000 <= stopped[0] <= 47_000


def test_what_was_sent_during_a_fault_and_ended_after_it_does_not_count() -> None:
    made = failing(96_000, 97_000, 1)
    released = np.flatnonzero(made.samples["outcome"] == Outcome.HTTP_ERROR)
    made.samples["done_ns"][released] = T0_NS + 106_000 * 1_000_000
    assert aborts_at_ms("errors > 5% for 10s", made) is None


def test_too_few_requests_end_nothing() -> None:
    made = failing(-2_000, 30_000, 1)
    made.samples = made.samples[made.samples["seq"] % 100 == 0]  # four in ten seconds
    assert aborts_at_ms(RULE, made) is None


def test_the_warm_up_counts_too() -> None:
    made = failing(-2_000, 120_000, 1)
    stopped = aborts_at_ms("errors > 20% for 1s", made)
    assert stopped is not None
    assert stopped[0] <= 0


def test_exactly_the_share_ends_nothing() -> None:
    made = failing(-2_000, 120_000, 5)
    assert aborts_at_ms("errors > 21% for 10s", made) is None
    rows = made.samples[(made.samples["seq"] >= 100) & (made.samples["seq"] < 200)]
    rows["done_ns"] = T0_NS + 10_000 * 1_000_000  # a hundred, of which twenty failed
    assert AbortRule.parse(RULE).reason(made.plan, rows, T0_NS) is None
    rows["outcome"][1] = Outcome.HTTP_ERROR
    assert AbortRule.parse(RULE).reason(made.plan, rows, T0_NS) is not None


# ---------------------------------------------------------------- mistakes that it could make


def only_dropped() -> Recording:
    made = failing(5_000, 30_000)
    made.samples["outcome"][made.samples["outcome"] == Outcome.HTTP_ERROR] = Outcome.DROPPED
    return made


def a_few_that_failed() -> Recording:
    made = failing(-2_000, 30_000, 1)
    made.samples = made.samples[made.samples["seq"] % 100 == 0]
    return made


@pytest.mark.parametrize(
    ("mistake", "rule", "made", "target", "value"),
    [
        ("a fault's own failures end the run", RULE, lambda: failing(40_000, 90_000), "_intervals", always),
        ("few requests are enough", RULE, a_few_that_failed, "REQUESTS_LEAST", 1),
        ("any failure is a timeout", "timeouts > 20% for 10s", lambda: failing(5_000, 30_000), "BAD_OUTCOMES", ANY),
        ("a named phase is not read", f"{RULE} during baseline", lambda: failing(40_000, 90_000), "_intervals", always),
    ],
)
def test_a_mistake_that_ends_a_sound_run(mistake: str, rule: str, made: Any, target: str, value: Any) -> None:
    _changes_whether_it_ends(mistake, rule, made(), target, value, ends=False)


@pytest.mark.parametrize(
    ("mistake", "rule", "made", "target", "value"),
    [
        ("the warm-up does not count", "errors > 20% for 1s", lambda: failing(-2_000, -100, 1), "_intervals", measured),
        ("what was dropped is no error", RULE, only_dropped, "BAD_OUTCOMES", {"errors": (Outcome.HTTP_ERROR,)}),
        ("many requests are needed", RULE, lambda: failing(5_000, 30_000), "REQUESTS_LEAST", 10_000),
    ],
)
def test_a_mistake_that_lets_harm_go_on(mistake: str, rule: str, made: Any, target: str, value: Any) -> None:
    _changes_whether_it_ends(mistake, rule, made(), target, value, ends=True)


def _changes_whether_it_ends(mistake: str, rule: str, made: Recording, target: str, value: Any, *, ends: bool) -> None:
    assert (aborts_at_ms(rule, made) is not None) == ends
    where = "AbortRule._intervals" if target == "_intervals" else target
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"harness.gates.abort_rule.{where}", value)
        assert (aborts_at_ms(rule, made) is not None) != ends, mistake


# ---------------------------------------------------------------- judged


def test_an_aborted_run_never_passes(tmp_path: Path) -> None:
    made = failing(200_000, 200_000, 2, "errors < 1% during baseline").stopped(60_000, "aborted")
    made.plan = made.plan.model_copy(update={"abort_if": (RULE,)})
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert [gate.verdict for gate in results.gates] == ["pass", "pass"]  # with service-alive
    assert (results.verdict, results.exit_code) == ("inconclusive", 3)
    assert results.run.stopped == "aborted by `errors > 20% for 10s`, at 60.0 s"
    with pytest.MonkeyPatch.context() as patch:  # a judge that overlooks the stop lets it pass
        patch.setattr("harness.verdict.judging._was_aborted", lambda _pool: False)
        assert verdict.judge(Evidence.load(tmp_path)).verdict == "pass"


def test_a_gate_that_is_cut_is_undecided_unless_it_fails_whatever_comes(tmp_path: Path) -> None:
    made = failing(0, 30_000, 1, "errors < 1%", "errors < 90%").stopped(30_000, "aborted")
    results = verdict.judge(Evidence.load(made.write(tmp_path)))
    assert [gate.verdict for gate in results.gates[:2]] == ["fail", "inconclusive"]
    assert results.gates[1].reason == "the run was aborted (`load.abort_if`) before this phase was over"
    assert results.exit_code == 1


# ---------------------------------------------------------------- of a scenario


def test_a_plan_has_the_rules_that_the_scenario_writes(tmp_path: Path) -> None:
    text = changed(("rate: 40/s", "rate: 40/s\n  abort_if: [errors > 20% for 10s, dropped > 1% for 5s during whole]"))
    assert plan_of(load(tmp_path, text)).abort_if == (RULE, "dropped > 1% for 5s during whole")
    assert plan_of(load(tmp_path, GOOD)).abort_if == ()


@pytest.mark.parametrize(
    ("rule", "message", "fix"),
    [
        ("errors > 20%", "does not say for how long", "errors > 20% for 10s"),
        ("errors > 20% for 10s during azur-latency", "there is no fault `azur-latency`", "azure-latency"),
    ],
)
def test_a_rule_that_could_never_hold_is_refused(rule: str, message: str, fix: str, tmp_path: Path) -> None:
    problem = only_problem(tmp_path, changed(("rate: 40/s", f"rate: 40/s\n  abort_if: [{rule}]")))
    assert message in problem.message
    assert fix in problem.fix
