"""A curve's search with loads that are made up: what it runs, what it keeps, and how it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Interrupted, RigError, ServiceGone, UsageError
from harness.rundir.plan import Plan
from harness.rundir.searches.capacity import LoadStep, RateCurve, RecordedStep, StepPurpose, recorded_steps
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
from harness.search import capacity
from harness.search.capacity import RateLoads, Settings, rate_curve, read_steps
from harness.search.curve_driver import RESTARTS_MOST, CurveDriver
from harness.search.level_search import WantedLoad
from harness.search.search_progress import LoadUnderWay
from harness.search.stack_loads import LoadRun, LoadSpec
from tests.search.steps import step

SETTINGS = Settings(first_per_s=20, to_per_s=None, within=0.1, refute_ms=20_000, soak_ms=40_000, alpha=0.05)
Says = Callable[[float, int], str | Exception]
"""The outcome of the load of that rate and number, or what it raises."""


class MadeUp:
    """Loads of a service that carries `capacity_per_s`; `says` may decide otherwise. Counts what was asked of it."""

    starts_service = True

    def __init__(self, capacity_per_s: float = 100, says: Says | None = None) -> None:
        self._capacity_per_s = capacity_per_s
        self._says = says
        self.specs: list[LoadSpec] = []
        self.renewed = 0
        self.outcomes: list[str] = []

    def run(self, spec: LoadSpec, tick: Callable[[float], None]) -> LoadRun:
        self.specs.append(spec)
        tick(0.5)
        said = self._says(spec.rate_per_s, len(self.specs)) if self._says else ""
        if isinstance(said, Exception):
            raise said
        self.outcomes.append(said or ("held" if spec.rate_per_s <= self._capacity_per_s else "broke"))
        return LoadRun(Path(f"load-{len(self.specs):03d}"), None)

    def renew(self) -> None:
        self.renewed += 1


@pytest.fixture
def plan() -> Plan:
    return dry_plan(load_scenario("azure-slow").checked)[0]


def searched(
    made_up: MadeUp, plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> tuple[RateCurve, Exception | None]:
    def step_of(run: LoadRun, load: WantedLoad, purpose: StepPurpose, before: Any) -> tuple[LoadStep, object]:
        options.get("pooled", []).append(len(before))
        figures = {"purpose": purpose, "alpha": load.alpha, "run": run.run_dir.name, **options.get("figures", {})}
        if options.get("dies") and made_up.outcomes[-1] == "broke":
            figures["service_ended"] = "it died"
        return step(load.rate_per_s, made_up.outcomes[-1], **figures), object()

    monkeypatch.setattr(capacity, "step_of", step_of)
    fault, recorded = options.get("fault"), options.get("recorded", [])
    further = {name: options[name] for name in ("show", "clock_s") if name in options}
    stack: Any = made_up
    loads = RateLoads(plan, fault, SETTINGS)
    found = CurveDriver(stack, loads, folder=folder, say=lambda _: None, **further).run(recorded)
    return rate_curve(loads, found, 2), found.ended


def test_a_search_ends_with_both_answers(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = MadeUp(100)
    curve, ended = searched(made_up, plan, tmp_path, monkeypatch)
    assert ended is None
    assert curve.certified_per_s is not None and curve.refuted_per_s is not None
    assert curve.certified_per_s <= 100 < curve.refuted_per_s <= 1.13 * curve.certified_per_s
    assert made_up.renewed == 0
    lengths = {(spec.confidence, spec.judged_ms) for spec in made_up.specs}
    assert lengths == {(None, 12_000), (None, 4_000), (0.95, 40_000), (0.95, 20_000)}
    assert [line.step for line in recorded_steps(tmp_path)] == list(curve.steps)


def test_after_each_load_that_broke_the_first_rate_is_tried_again(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curve, _ = searched(MadeUp(100), plan, tmp_path, monkeypatch)
    for before, after in zip(curve.steps, curve.steps[1:], strict=False):
        if before.outcome == "broke" and before.purpose != "return":
            assert (after.purpose, after.rate_per_s) == ("return", 20)


def test_one_that_does_not_come_back_is_metastable_and_started_anew(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = MadeUp(100)
    collapsed = False

    def says(rate_per_s: float, _number: int) -> str:
        nonlocal collapsed
        collapsed = (collapsed and made_up.renewed == 0) or rate_per_s > 100
        return "broke" if collapsed else ""

    made_up._says = says
    curve, ended = searched(made_up, plan, tmp_path, monkeypatch)
    assert "metastable" in curve.findings and "restarted" in curve.findings
    assert made_up.renewed >= 1
    assert ended is None or isinstance(ended, RigError)


def test_one_that_does_not_start_any_more_ends_its_curve_and_no_rate_is_blamed(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = MadeUp(says=lambda _, number: ServiceGone("it died") if number > 3 else "held")
    curve, ended = searched(made_up, plan, tmp_path, monkeypatch)
    assert (ended, curve.ended_by, curve.refuted_per_s) == (None, "undecided", None)
    assert [step.outcome for step in curve.steps[3:]] == ["generator", "generator"]
    assert curve.would_decide == "the service ended before the load began: it died, twice"


def ended_before(number: int) -> Says:
    return lambda _, load: ServiceGone("it died") if load == number else ""


def test_one_that_ended_once_before_a_load_is_searched_on(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet, _ = searched(MadeUp(), plan, tmp_path, monkeypatch)
    for number in range(1, len(quiet.steps) + 1):
        (tmp_path / "steps.ndjson").unlink()
        curve, ended = searched(MadeUp(says=ended_before(number)), plan, tmp_path, monkeypatch)
        assert ended is None
        assert (curve.certified_per_s, curve.refuted_per_s) == (quiet.certified_per_s, quiet.refuted_per_s)


def test_one_that_dies_above_a_rate_is_started_anew_each_time_and_that_is_what_stops_it(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = MadeUp(3)
    curve, ended = searched(made_up, plan, tmp_path, monkeypatch, dies=True)
    assert ended is None
    assert curve.certified_per_s is not None and curve.refuted_per_s is not None
    assert curve.certified_per_s <= 3 < curve.refuted_per_s
    assert made_up.renewed == sum(each.service_ended is not None for each in curve.steps) > RESTARTS_MOST
    assert curve.limiter.kind == "service_ended" and "it died" in curve.limiter.witness
    assert "restarted" in curve.findings and "metastable" not in curve.findings


def test_a_rate_that_held_by_chance_is_no_return_and_the_service_not_metastable(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = MadeUp(19, says=lambda rate_per_s, number: "held" if number == 1 else "")
    curve, ended = searched(made_up, plan, tmp_path, monkeypatch)
    assert ended is None
    assert "metastable" not in curve.findings and "restarted" in curve.findings
    returns = [each.rate_per_s for each in curve.steps if each.purpose == "return"]
    assert returns[:3] == [20, 20, 10] and made_up.renewed == 1
    assert curve.certified_per_s is not None and 16 < curve.certified_per_s <= 19, "a lower rate is soaked"


def test_a_search_that_ended_early_does_not_say_that_nothing_stopped_the_service(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = MadeUp(100, says=lambda _, number: Interrupted("stop") if number > 2 else "")
    curve, _ = searched(made_up, plan, tmp_path, monkeypatch)
    assert curve.limiter.witness == "not known yet: the search ended early"


def test_a_directory_of_another_search_or_with_damage_cannot_be_taken_up(tmp_path: Path) -> None:
    RecordedStep(fault="azure-slow", step=step(10)).append(tmp_path)
    with pytest.raises(UsageError, match="has a curve for azure-slow"):
        read_steps(tmp_path, (None,))
    (tmp_path / "steps.ndjson").write_text("{}\n{}\n")
    with pytest.raises(UsageError, match="cannot be read"):
        read_steps(tmp_path, (None,))


def test_a_curve_of_a_fault_has_that_fault_on_in_every_load(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = MadeUp(100)
    curve, _ = searched(made_up, plan, tmp_path, monkeypatch, fault="azure-slow")
    assert {spec.fault for spec in made_up.specs} == {"azure-slow"} == {curve.fault}


def test_while_a_load_is_under_way_it_says_what_is_certified(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[LoadUnderWay] = []
    searched(MadeUp(100), plan, tmp_path, monkeypatch, show=seen.append)
    assert [load.certified for load in seen[-3:]] == ["", "health 93.8/s", "health 93.8/s and not 101/s"]
    assert all(load.curve_left_s >= load.length_s - load.at_s for load in seen)


def test_each_step_says_what_it_cost_in_all(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(10_000))
    curve, _ = searched(MadeUp(100), plan, tmp_path, monkeypatch, clock_s=lambda: float(next(times)))
    assert {step.wall_s for step in curve.steps} == {1.0}


def test_loads_in_which_the_machine_gave_out_are_not_pooled(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pooled: list[int] = []
    said = iter(["generator", "undecided", "undecided"])
    searched(MadeUp(says=lambda *_: next(said, "held")), plan, tmp_path, monkeypatch, pooled=pooled)
    assert pooled[:3] == [0, 0, 1]


def test_a_busy_machine_is_not_taken_for_a_service_that_does_not_come_back(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = MadeUp(100)
    busy = iter(["generator"])
    tried: list[int] = []

    def says(_rate_per_s: float, number: int) -> str:
        if made_up.specs[-1].judged_ms == SETTINGS.return_ms:
            tried.append(number)
            return next(busy, "")
        return ""

    made_up._says = says
    curve, ended = searched(made_up, plan, tmp_path, monkeypatch)
    assert ended is None and made_up.renewed == 0
    assert "metastable" not in curve.findings
    assert tried[1] == tried[0] + 1, "it was tried once more"


def test_errors_that_no_rate_explains_end_the_curve(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = MadeUp(says=lambda _rate, _number: "broke")
    curve, ended = searched(made_up, plan, tmp_path, monkeypatch, figures={"failed_alike": "HTTP 500"})
    assert (len(made_up.specs), curve.ended_by, ended) == (2, "nothing_holds", None)
    assert curve.would_decide == (
        "every request was answered HTTP 500, at 11.1/s and at 20/s; the log of the service may say why"
    )


def test_a_gate_that_has_nothing_to_judge_ends_the_curve(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = MadeUp(says=lambda _rate, _number: "undecided")
    nothing = "the locustfile sent no request called `baskt`; it sent `basket`"
    curve, ended = searched(made_up, plan, tmp_path, monkeypatch, figures={"nothing_for": nothing})
    assert (len(made_up.specs), curve.ended_by, ended) == (2, "undecided", None)
    assert curve.would_decide == nothing


def test_a_service_that_runs_out_of_time_is_searched_down(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curve, _ = searched(MadeUp(2), plan, tmp_path, monkeypatch)
    assert curve.ended_by == "bracket"
