"""A curve's search with loads that are made up: what it runs, what it keeps, and how it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import RigError, ServiceGone, UsageError
from harness.rundir.searches.frontier import FrontierCurve, FrontierKind, FrontierStep, RecordedFrontierStep
from harness.search.curve_driver import CurveDriver, SearchedCurve, refuted_level
from harness.search.frontier import curve_search
from harness.search.frontier.answer import frontier_sentence, frontier_verdict
from harness.search.frontier.curve_search import WITHOUT_FAULT, LevelCurve
from harness.search.frontier.given_up import given_up
from harness.search.frontier.level_loads import LevelLoads
from harness.search.frontier.steps import curve_of, lowest_broken, read_frontier_steps
from harness.search.frontier.upstream_faults import FrontierTarget
from harness.search.level_search import WantedLoad
from harness.search.stack_loads import LoadRun, LoadSpec
from tests.search.frontier.scenarios import level_step
from tests.search.frontier.test_level_loads import loads_of
from tests.search.steps import gate

AZURE = FrontierTarget("azure", "latency")
Says = Callable[[float | None, int], str | Exception]
"""The outcome of the load at that level (None: without the fault) and number, or what it raises; empty: the usual."""


class MadeUp:
    """Loads of a service that holds up to `limit`. Counts what was asked of it."""

    starts_service = True

    def __init__(self, limit: float = 1_000, says: Says | None = None) -> None:
        self.limit = limit
        self.says = says
        self.specs: list[LoadSpec] = []
        self.renewed = 0

    def run(self, spec: LoadSpec, tick: Callable[[float], None]) -> LoadRun:
        tick(0.5)
        self.specs.append(spec)
        return LoadRun(Path(f"load-{len(self.specs):03d}"), None)

    def renew(self) -> None:
        self.renewed += 1


def searched(
    made_up: MadeUp,
    loads: LevelLoads,
    folder: Path,
    recorded: list[FrontierStep] | None = None,
    figures: dict[str, Any] | None = None,
) -> tuple[FrontierCurve, Exception | None]:
    def judged(
        run: LoadRun, loads: LevelLoads, wanted: Any, purpose: str, before: object
    ) -> tuple[FrontierStep, object]:
        level = None if wanted is None else wanted.level
        said = made_up.says(level, len(made_up.specs)) if made_up.says else ""
        if isinstance(said, Exception):
            raise said
        outcome = said or ("held" if level is None or level <= made_up.limit else "broke")
        alpha = wanted.alpha if wanted else None
        fields = {"purpose": purpose, "alpha": alpha, "run": run.run_dir.name, "reason": "made up"}
        return level_step(level, outcome, **fields, **(figures or {} if level is not None else {})), object()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(curve_search, "frontier_step", judged)
        stack: Any = made_up
        found = CurveDriver(stack, LevelCurve(loads), folder=folder, say=lambda _: None).run(recorded or [])
        return curve_of(loads, found, 2), found.ended


@pytest.mark.parametrize("kind", ["latency", "errors", "hang", "outage"])
def test_a_search_ends_with_both_answers(tmp_path: Path, kind: FrontierKind) -> None:
    limit = {"latency": 1_000.0, "errors": 0.02, "hang": 0.3, "outage": 40_000.0}[kind]
    made_up = MadeUp(limit)
    curve, ended = searched(made_up, loads_of(tmp_path, kind), tmp_path)
    assert ended is None
    assert curve.certified is not None and curve.refuted is not None
    assert curve.certified <= limit < curve.refuted <= 1.27 * curve.certified
    assert (made_up.renewed, curve.findings) == (0, ())
    assert curve.steps[0].purpose == "health"
    assert {len(spec.placed) for spec in made_up.specs} == {0, 1}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(limit=st.floats(10, 100_000))
def test_the_answers_hold_the_truth_and_stay_within_the_scale(tmp_path: Path, limit: float) -> None:
    curve, _ = searched(MadeUp(limit), loads_of(tmp_path), tmp_path)
    levels = [step.level for step in curve.steps if step.level is not None]
    assert min(levels) >= 25 and max(levels) <= 60_000
    if limit < 25:
        assert (curve.ended_by, curve.certified, curve.refuted) == ("nothing_holds", None, 25)
    elif limit >= 60_000:
        assert (curve.ended_by, curve.certified, curve.at_least) == ("to", 60_000, True)
    else:
        assert curve.certified is not None and curve.refuted is not None
        assert curve.certified <= limit < curve.refuted


def test_a_service_that_does_not_hold_without_any_fault_is_not_broken(tmp_path: Path) -> None:
    made_up = MadeUp(says=lambda _level, _number: "broke")
    curve, ended = searched(made_up, loads_of(tmp_path), tmp_path)
    assert (curve.ended_by, len(made_up.specs), ended) == ("unhealthy", 2, None)
    once = MadeUp(says=lambda _level, number: "broke" if number == 1 else "")
    assert searched(once, loads_of(tmp_path), tmp_path)[0].ended_by == "bracket", "it broke by chance"


def test_after_each_load_that_broke_it_must_hold_without_the_fault(tmp_path: Path) -> None:
    curve, _ = searched(MadeUp(1_000), loads_of(tmp_path), tmp_path)
    for before, after in zip(curve.steps, curve.steps[1:], strict=False):
        if before.outcome == "broke":
            assert (after.purpose, after.level) == ("return", None)


def test_one_that_does_not_come_back_is_metastable_and_started_anew(tmp_path: Path) -> None:
    made_up = MadeUp(1_000)
    collapsed_at = -1

    def says(level: float | None, _number: int) -> str:
        nonlocal collapsed_at
        if level is not None and level > 1_400 and collapsed_at < 0:
            collapsed_at = made_up.renewed
        return "broke" if collapsed_at == made_up.renewed else ""

    made_up.says = says
    curve, ended = searched(made_up, loads_of(tmp_path), tmp_path)
    assert ended is None
    assert made_up.renewed == 1
    assert {"metastable", "restarted"} <= set(curve.findings)
    assert curve.certified is not None


def test_a_service_that_ends_before_a_load_began_says_nothing_of_its_level(tmp_path: Path) -> None:
    rules = LevelCurve(loads_of(tmp_path))
    step = rules.died(WantedLoad("refute", 900, alpha=0.05), "refute", "it died")
    assert (step.outcome, step.level, step.fault_met, step.service_ended) == ("generator", 900, None, "it died")
    assert step.reason == "the service ended before the load began: it died"
    assert refuted_level([step]) is None
    well = rules.died(WITHOUT_FAULT, "health", "it died")
    assert (well.outcome, well.level, well.reason) == ("broke", None, "it died")


@pytest.mark.parametrize("purpose", ["explore", "soak", "refute"])
def test_one_that_died_once_before_a_load_is_started_anew_and_that_load_run_again(tmp_path: Path, purpose: str) -> None:
    whole, _ = searched(MadeUp(1_000), loads_of(tmp_path), tmp_path)
    at = next(number for number, step in enumerate(whole.steps, 1) if step.purpose == purpose)
    made_up = MadeUp(1_000)
    run, died = made_up.run, False

    def dies_once(spec: LoadSpec, tick: Callable[[float], None]) -> LoadRun:
        nonlocal died
        if len(made_up.specs) == at - 1 and not died:
            died = True
            raise ServiceGone("it died")
        return run(spec, tick)

    made_up.run = dies_once  # type: ignore[method-assign]
    curve, ended = searched(made_up, loads_of(tmp_path), tmp_path)
    assert ended is None and made_up.renewed == 1
    assert (curve.certified, curve.refuted) == (whole.certified, whole.refuted)
    assert (curve.steps[at - 1].outcome, curve.steps[at].level) == ("generator", curve.steps[at - 1].level)
    assert curve.findings == ("restarted",)


def test_where_it_dies_before_each_load_no_fault_is_blamed(tmp_path: Path) -> None:
    made_up = MadeUp()

    def run(spec: LoadSpec, tick: object) -> LoadRun:
        made_up.specs.append(spec)
        if spec.placed:
            raise ServiceGone("it died")
        return LoadRun(Path("load"), None)

    made_up.run = run  # type: ignore[method-assign]
    curve, ended = searched(made_up, loads_of(tmp_path), tmp_path)
    assert ended is None
    assert (curve.ended_by, curve.refuted, curve.broke) == ("undecided", None, ""), "no fault ever stood"
    assert made_up.renewed == sum(each.service_ended is not None for each in curve.steps) == 2
    assert "restarted" in curve.findings and "metastable" not in curve.findings
    assert frontier_sentence([curve]) == (
        "azure has no level of latency that could be certified; the search ended since the service does not hold "
        "without the fault any more (the service ended before the load began: it died)."
    )


def test_one_that_does_not_come_back_when_it_is_started_anew_either_is_given_up(tmp_path: Path) -> None:
    made_up = MadeUp(2_000)
    made_up.says = lambda _level, number: "broke" if number > 3 else ""
    curve, ended = searched(made_up, loads_of(tmp_path), tmp_path)
    assert [(step.purpose, step.outcome) for step in curve.steps] == [
        ("health", "held"), ("explore", "held"), ("explore", "held"), ("explore", "broke"), ("return", "broke"),
        ("return", "broke"),
    ]  # fmt: skip
    assert (ended, made_up.renewed) == (None, 1)
    assert curve.findings == ("restarted",)
    assert (curve.ended_by, frontier_verdict([curve])) == ("undecided", "inconclusive"), "no fault is blamed for it"
    assert curve.given_up == "the service does not hold without the fault any more (made up)"
    assert frontier_sentence([curve]).endswith(f"; the search ended since {curve.given_up}.")


def test_what_was_certified_before_a_curve_was_given_up_stays(tmp_path: Path) -> None:
    whole, _ = searched(MadeUp(1_000), loads_of(tmp_path), tmp_path)
    soaked = next(number for number, step in enumerate(whole.steps, 1) if step.purpose == "soak")
    made_up = MadeUp(1_000, lambda level, number: "broke" if number > soaked + 1 else "undecided" * (number > soaked))
    curve, _ = searched(made_up, loads_of(tmp_path), tmp_path)
    assert curve.certified == whole.certified and curve.given_up
    assert "ms later; from where on it may not is not certified; the search ended since the service does not" in (
        frontier_sentence([curve])
    )


@pytest.mark.parametrize("comes_back", [False, True])
def test_of_a_service_that_somebody_else_brought_back_no_restart_is_said(tmp_path: Path, *, comes_back: bool) -> None:
    loads = loads_of(tmp_path, "latency", "service.rung=null", "service.url=http://127.0.0.1:1")
    made_up = MadeUp(says=lambda _level, number: "broke" if number == 4 else "")
    made_up.starts_service = False
    curve, ended = searched(made_up, loads, tmp_path)
    assert isinstance(ended, RigError) and (curve.ended_by, curve.findings) == ("rig", ())
    again = MadeUp(says=lambda _level, _number: "" if comes_back else "broke")
    again.starts_service = False
    curve, ended = searched(again, loads, tmp_path, list(curve.steps))
    assert (curve.findings, curve.given_up) == ((), "")
    assert curve.ended_by == ("bracket" if comes_back else "rig")
    assert isinstance(ended, RigError) is not comes_back
    if not comes_back:
        well = MadeUp()
        well.starts_service = False
        curve, ended = searched(well, loads, tmp_path, list(curve.steps))
        assert (ended, curve.ended_by, curve.findings) == (None, "bracket", ()), "whenever it is back, it goes on"


def test_a_return_that_says_nothing_is_no_restart(tmp_path: Path) -> None:
    made_up = MadeUp(1_000)
    made_up.says = lambda level, _number: "undecided" if level is None and odd_return(made_up) else ""
    curve, _ = searched(made_up, loads_of(tmp_path), tmp_path)
    assert any(step.purpose == "return" and step.outcome == "undecided" for step in curve.steps)
    assert (curve.findings, made_up.renewed) == ((), 0)


def odd_return(made_up: MadeUp) -> bool:
    """Whether the load under way is the first without the fault after one with it."""
    return len(made_up.specs) > 1 and bool(made_up.specs[-2].placed)


def test_an_upstream_that_no_call_reaches_is_given_up_at_the_second_level(tmp_path: Path) -> None:
    none = "no call of the service reached azure"
    made_up = MadeUp(says=lambda level, _number: "" if level is None else "undecided")
    figures = {"fault_met": False, "unmet": none}
    curve, ended = searched(made_up, loads_of(tmp_path), tmp_path, figures=figures)
    assert (ended, curve.ended_by, curve.given_up) == (None, "undecided", none)
    assert [step.level for step in curve.steps if step.level is not None] == [500, 500, 167]
    assert frontier_sentence([curve]) == (
        f"azure has no level of latency that could be certified; the search ended since {none}."
    )
    again = MadeUp()
    resumed, _ = searched(again, loads_of(tmp_path), tmp_path, read_frontier_steps(tmp_path, (AZURE,))[AZURE])
    assert (resumed, again.specs) == (curve, [])


def test_one_that_calls_reached_at_another_level_is_searched_on() -> None:
    unmet = [level_step(level, "undecided", fault_met=False, unmet="none") for level in (500, 500, 167)]
    assert given_up(unmet, can_restart=True) == "none"
    assert given_up(unmet[:2], can_restart=True) == "", "it may be chance at one level"
    assert given_up([level_step(900), *unmet], can_restart=True) == ""


@pytest.mark.parametrize(
    ("outcomes", "ended_by"),
    [
        (("broke", "broke"), "unhealthy"),
        (("broke", "generator"), "undecided"),
        (("undecided", "broke"), "undecided"),
        (("generator", "undecided"), "undecided"),
    ],
)
def test_health_is_denied_only_if_it_broke_twice(tmp_path: Path, outcomes: tuple[str, str], ended_by: str) -> None:
    made_up = MadeUp(says=lambda _level, number: outcomes[number - 1])
    curve, _ = searched(made_up, loads_of(tmp_path), tmp_path)
    assert (len(curve.steps), curve.ended_by) == (2, ended_by)
    assert bool(curve.broke) is (ended_by == "unhealthy")


def test_a_load_without_the_fault_that_broke_by_chance_is_not_what_breaks_the_upstream(tmp_path: Path) -> None:
    made_up = MadeUp(1_000, lambda _level, number: "broke" if number == 1 else "")
    curve, _ = searched(made_up, loads_of(tmp_path), tmp_path)
    shown = next(step for step in curve.steps if step.purpose == "refute" and step.outcome == "broke")
    assert (curve.ended_by, curve.broke) == ("bracket", shown.reason)
    assert lowest_broken([level_step(None, "broke", purpose="health"), level_step(None, purpose="health")]) is None


@pytest.mark.parametrize(
    ("kind", "alpha", "named"), [("latency", None, 1), ("latency", 0.05, 0), ("outage", None, 0), ("outage", 0.05, 0)]
)
def test_the_gate_that_is_named_is_the_one_that_broke_the_load(
    tmp_path: Path, kind: FrontierKind, alpha: float | None, named: int
) -> None:
    """One failed by its decision; the other holds by that and not by its point estimate."""
    gates = (gate("p90 < 1s", 1_000, verdict="fail"), gate("p99 < 2s", 2_000, breaks=True))
    broke = level_step(500, "broke", alpha=alpha, gates=gates)
    found = curve_of(loads_of(tmp_path, kind), SearchedCurve((broke,), None, None, ""), 2)
    assert found.broken_gate == gates[named].text


def test_a_load_in_which_the_machine_gave_out_is_run_once_more_also_a_certificate(tmp_path: Path) -> None:
    times: dict[float, int] = {}

    def says(level: float | None, _number: int) -> str:
        if level is None:
            return ""
        times[level] = times.get(level, 0) + 1
        return "generator" if times[level] % 2 else ""

    curve, _ = searched(MadeUp(1_000, says), loads_of(tmp_path), tmp_path)
    assert curve.certified is not None and curve.refuted is not None
    assert "undecided_levels" not in curve.findings
    recorded = read_frontier_steps(tmp_path, (AZURE,))[AZURE]
    again = MadeUp()
    resumed, _ = searched(again, loads_of(tmp_path), tmp_path, recorded)
    assert (resumed.steps, again.specs) == (curve.steps, []), "a search that was over is not run again"


def test_a_service_that_fell_in_a_load_that_says_nothing_is_started_anew_before_the_next(tmp_path: Path) -> None:
    made_up = MadeUp(1_000)
    fell_at = -1

    def says(level: float | None, _number: int) -> str:
        nonlocal fell_at
        if level is not None and level > 1_000 and fell_at < 0:
            fell_at = made_up.renewed
            return "generator"
        return "broke" if fell_at == made_up.renewed else ""

    made_up.says = says
    curve, ended = searched(made_up, loads_of(tmp_path), tmp_path)
    assert ended is None and made_up.renewed == 1
    assert curve.certified is not None and curve.certified <= 1_000 < (curve.refuted or 0)


def test_a_directory_of_another_search_or_with_damage_cannot_be_taken_up(tmp_path: Path) -> None:
    RecordedFrontierStep(upstream="gcp", kind="outage", step=level_step(9_000)).append(tmp_path)
    with pytest.raises(UsageError, match="has a curve for gcp, outage"):
        read_frontier_steps(tmp_path, (AZURE,))
    (tmp_path / "steps.ndjson").write_text("{}\n{}\n")
    with pytest.raises(UsageError, match="cannot be read"):
        read_frontier_steps(tmp_path, (AZURE,))


def test_a_load_without_the_fault_that_says_nothing_is_repeated_once(tmp_path: Path) -> None:
    made_up = MadeUp(1_000, lambda level, number: "generator" if level is None and number == 1 else "")
    curve, _ = searched(made_up, loads_of(tmp_path), tmp_path)
    assert [step.purpose for step in curve.steps[:3]] == ["health", "health", "explore"]
    assert curve.ended_by == "bracket"
    never, ended = searched(MadeUp(says=lambda _level, _number: "generator"), loads_of(tmp_path), tmp_path)
    assert (never.ended_by, len(never.steps), ended) == ("undecided", 2, None)
