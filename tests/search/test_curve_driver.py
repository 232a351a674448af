"""What the driver owes to every search, over rates and over the levels of a fault: whatever happens to it, no answer is
lost, none is asked for twice, and the service is not started anew without end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import Interrupted, RigError, ServiceGone, UsageError
from harness.evidence import Evidence
from harness.rundir.searches.capacity import LoadStep, recorded_steps
from harness.rundir.searches.frontier import recorded_frontier_steps
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
from harness.search.capacity import RateLoads, Settings
from harness.search.curve_driver import RESTARTS_MOST, UNKNOWN, CurveDriver, SearchedCurve, search_curves
from harness.search.curve_rules import describe_step
from harness.search.frontier.curve_search import LevelCurve
from harness.search.level_search import WantedLoad
from harness.search.search_progress import LoadUnderWay
from harness.search.stack_loads import LoadRun, LoadSpec
from tests.search.frontier.scenarios import level_step
from tests.search.frontier.test_level_loads import loads_of
from tests.search.steps import step

SETTINGS = Settings(first_per_s=20, to_per_s=None, within=0.1, refute_ms=20_000, soak_ms=40_000, alpha=0.05)
Says = Callable[[WantedLoad, int], str | Exception]
"""How the load of that number (from 1 on) ends, or what it raises; empty: as the limit of the service has it."""


class MadeUpStack:
    """Runs nothing. `number`: of the last load; `renewed`: before which loads the service was started anew."""

    starts_service = True

    def __init__(self, number: int = 0, dies: Callable[[LoadSpec], bool] = lambda _: False) -> None:
        self.number = number
        self.renewed: list[int] = []
        self._dies = dies

    def run(self, spec: LoadSpec, tick: Callable[[float], None]) -> LoadRun:
        self.number += 1
        tick(0.5)
        if self._dies(spec):
            raise ServiceGone("it died")
        return LoadRun(Path(f"load-{self.number:03d}"), None)

    def renew(self) -> None:
        self.renewed.append(self.number + 1)


class Case:
    """A kind of search at a service that holds up to `limit`, and breaks above it, or `dies`. `pooled`: the evidence
    that each load was judged with."""

    def __init__(self, folder: Path, *, of_rates: bool) -> None:
        self.of_rates = of_rates
        self.rules: Any
        if of_rates:
            self.limit = 100.0
            self.rules = RateLoads(dry_plan(load_scenario("azure-slow").checked)[0], None, SETTINGS)
        else:
            self.limit = 1_000.0
            self.rules = LevelCurve(loads_of(folder))
        self.folder = folder
        self.dies = False
        self.stack = MadeUpStack()
        self.said: list[str] = []
        self.seen: list[LoadUnderWay] = []
        self.pooled: list[list[object]] = []

    def search(
        self, says: Says | None = None, recorded: Sequence[LoadStep] = (), *, number: int = 0, shows: bool = False
    ) -> SearchedCurve[Any]:
        """`number`: of the loads that ran before. `shows`: what is under way is shown, which takes some time."""
        self.stack = MadeUpStack(number, self._ends)
        self.said, self.seen, self.pooled = [], [], []

        def judged(run: LoadRun, load: WantedLoad, purpose: str, before: list[object]) -> tuple[LoadStep, object]:
            self.pooled.append(before)
            said = says(load, self.stack.number) if says else ""
            if isinstance(said, Exception):
                raise said
            outcome = said or ("held" if load.level <= self.limit else "broke")
            figures = {"purpose": purpose, "alpha": load.alpha, "run": run.run_dir.name}
            if self.of_rates:
                return step(load.level, outcome, **figures), object()
            return level_step(load.level or None, outcome, **figures), object()

        self.rules.judged = judged
        stack: Any = self.stack
        show = self.seen.append if shows else None
        driver: CurveDriver[Any] = CurveDriver(
            stack, self.rules, folder=self.folder, say=self.said.append, show=show, clock_s=lambda: 0.0
        )
        return driver.run(recorded)

    def _ends(self, spec: LoadSpec) -> bool:
        level = spec.rate_per_s if self.of_rates else max((fault.delay_ms or 0.0 for fault in spec.placed), default=0.0)
        return self.dies and level > self.limit

    def recorded(self) -> list[LoadStep]:
        if self.of_rates:
            return [line.step for line in recorded_steps(self.folder)]
        return [line.step for line in recorded_frontier_steps(self.folder)]

    def forget(self) -> None:
        (self.folder / "steps.ndjson").unlink(missing_ok=True)


@pytest.fixture(params=["rates", "levels"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return Case(tmp_path, of_rates=request.param == "rates")


def after(loads: int, exc: Exception) -> Says:
    return lambda _load, number: exc if number > loads else ""


def test_a_search_that_is_interrupted_at_any_load_ends_as_if_it_was_not(case: Case) -> None:
    whole = case.search()
    assert whole.ended is None and whole.bracket is not None
    assert case.recorded() == list(whole.steps)
    for number in range(1, len(whole.steps)):
        case.forget()
        stopped = case.search(after(number, Interrupted("stop")))
        assert isinstance(stopped.ended, Interrupted) and stopped.bracket is None
        assert case.recorded() == list(stopped.steps) == list(whole.steps[:number])
        resumed = case.search(recorded=case.recorded(), number=number)
        assert resumed == whole
        assert case.stack.number == len(whole.steps), "no load is run twice"
        assert case.recorded() == list(whole.steps)


def test_what_is_taken_over_is_said(case: Case) -> None:
    whole = case.search()
    said: list[str] = []
    stack: Any = case.stack
    search_curves(stack, [(case.rules, whole.steps)], folder=case.folder, say=said.append, show=lambda _: None)
    assert said == [f"{len(whole.steps)} loads of {case.folder.name} are taken over and not run again"]


def test_a_load_that_says_nothing_shows_no_figures(case: Case) -> None:
    lost = case.search(lambda _load, number: "generator" if number == 2 else "").steps[1]
    said = describe_step(lost.model_copy(update={"reason": "late"}), case.rules)
    assert said.endswith("says nothing: late") and "p99" not in said


def test_a_search_that_is_over_is_taken_up_without_a_load(case: Case) -> None:
    whole = case.search()
    again = case.search(recorded=case.recorded())
    assert (again, case.stack.number, case.said) == (whole, 0, [])


def collapses(case: Case) -> Says:
    """From its third load on the service holds only right after it was started anew."""
    return lambda _load, number: "broke" if number > 2 and number not in case.stack.renewed else ""


@pytest.mark.parametrize("failure", [UsageError("no room for it", "free some"), OSError(28, "No space left on device")])
def test_a_load_that_cannot_be_kept_ends_the_search_with_what_it_has(case: Case, failure: Exception) -> None:
    found = case.search(after(3, failure))
    assert isinstance(found.ended, RigError) and len(found.steps) == 3
    assert case.recorded() == list(found.steps)


def test_a_failure_of_the_rig_ends_the_search_and_is_handed_on(case: Case) -> None:
    found = case.search(after(3, RigError("no")))
    assert isinstance(found.ended, RigError) and len(found.steps) == 3 and found.bracket is None


def test_a_service_that_never_comes_back_is_started_anew_so_often_and_no_more(case: Case) -> None:
    found = case.search(collapses(case))
    assert isinstance(found.ended, RigError) and "more than 3 times" in found.ended.message
    assert len(case.stack.renewed) == RESTARTS_MOST
    assert sum("starting it anew" in text for text in case.said) == RESTARTS_MOST


def test_a_search_that_is_taken_up_after_its_last_restart_goes_on(case: Case) -> None:
    found = case.search(collapses(case))
    assert isinstance(found.ended, RigError)
    again = case.search(lambda _load, _number: "broke", recorded=case.recorded(), number=len(found.steps))
    assert len(again.steps) > len(found.steps) and again.steps[: len(found.steps)] == found.steps
    if case.of_rates:
        assert isinstance(again.ended, RigError), "no call goes on without end"
        assert len(case.stack.renewed) == 2 * RESTARTS_MOST + 1
    else:
        assert (again.ended, again.bracket) == (None, None), "it does not hold without the fault, so it is given up"
        assert len(case.stack.renewed) == RESTARTS_MOST + 1
    well = case.search(recorded=found.steps, number=len(found.steps))
    assert well.ended is None and well.bracket is not None


def test_a_service_that_is_not_ours_ends_the_search_until_somebody_brought_it_back(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MadeUpStack, "starts_service", False)
    first = [each.purpose for each in case.search().steps].index("return")
    case.forget()
    found = case.search(lambda _load, number: "broke" if number > first else "")
    assert isinstance(found.ended, RigError) and "tailgate did not start it" in found.ended.message
    assert "--resume" in found.ended.fix
    assert case.stack.renewed == [] and not any("anew" in text for text in case.said)
    early = case.search(lambda _load, _number: "broke", recorded=case.recorded(), number=len(found.steps))
    assert isinstance(early.ended, RigError) and early.steps[-1].purpose == "return", "nothing is searched meanwhile"
    well = case.search(recorded=case.recorded(), number=len(early.steps))
    assert well.ended is None and well.bracket is not None


def test_what_is_wrong_with_the_first_load_is_said_as_it_is_and_nothing_was_started(case: Case) -> None:
    stack: Any = MadeUpStack()
    stack.run = lambda *_: (_ for _ in ()).throw(UsageError("the variable is not set", "set it"))
    every = [(case.rules, ())]
    with pytest.raises(UsageError, match="is not set"):
        search_curves(stack, every, folder=case.folder, say=lambda _: None, show=lambda _: None)


def test_a_return_of_which_nothing_is_known_costs_no_restart_of_those_that_are_allowed(case: Case) -> None:
    returned: list[int] = []

    def says(load: WantedLoad, number: int) -> str:
        is_return = load.alpha is None and number in returned
        return "undecided" if is_return else ""

    whole = case.search()
    returned = [number for number, each in enumerate(whole.steps, 1) if each.purpose == "return"]
    returned = [*range(returned[0], returned[0] + 2)]
    case.forget()
    found = case.search(says)
    assert found.ended is None and len(case.stack.renewed) == 1
    assert sum("may not have come back" in text for text in case.said) == 1


@pytest.mark.parametrize("outcome", UNKNOWN)
def test_a_return_of_which_nothing_is_known_is_tried_once_more_and_starts_nothing_anew(
    case: Case, outcome: str
) -> None:
    first = [each.purpose for each in case.search().steps].index("return")
    case.forget()
    found = case.search(lambda _load, number: outcome if number == first + 1 else "")
    assert [(each.purpose, each.outcome) for each in found.steps[first : first + 2]] == [
        ("return", outcome), ("return", "held")
    ]  # fmt: skip
    assert case.stack.renewed == []


def test_a_service_that_ended_is_started_anew_before_the_next_load_also_after_an_interruption(case: Case) -> None:
    case.dies = True
    whole = case.search()
    ended = [number for number, each in enumerate(whole.steps, 1) if each.service_ended == "it died"]
    assert whole.ended is None and ended
    assert case.stack.renewed == [number + 1 for number in ended]
    upto = whole.steps[: ended[0]]
    resumed = case.search(recorded=upto, number=len(upto))
    assert resumed == whole
    assert case.stack.renewed == [number + 1 for number in ended]


def test_steps_of_a_search_with_other_options_are_refused(case: Case) -> None:
    whole = case.search()
    with pytest.raises(UsageError, match="other options"):
        case.search(recorded=whole.steps[1:])


def undecided_once(case: Case) -> Says:
    """The first load above the limit is undecided, and so is its repetition."""
    levels: list[float] = []

    def says(load: WantedLoad, _number: int) -> str:
        if load.level <= case.limit or load.purpose != "explore" or (levels and levels[0] != load.level):
            return ""
        levels.append(load.level)
        return "undecided" if len(levels) <= 2 else ""

    return says


def interrupted_after_an_undecided_load(case: Case) -> tuple[SearchedCurve[Any], list[LoadStep], str]:
    """The whole search; the steps of one that ended before the repetition; the run that is repeated."""
    whole = case.search(undecided_once(case))
    number, repeated = [at for at, each in enumerate(whole.steps) if each.outcome == "undecided"]
    assert [len(before) for before in case.pooled][repeated] == 1
    case.forget()
    stopped = case.search(lambda load, at: Interrupted("") if at > repeated else undecided_says(load, case))
    assert len(stopped.steps) == repeated
    return whole, list(stopped.steps), stopped.steps[number].run


def undecided_says(load: WantedLoad, case: Case) -> str:
    return "undecided" if load.level > case.limit and load.purpose == "explore" else ""


def test_a_repetition_after_an_interruption_is_pooled_with_the_load_that_it_repeats(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, steps, run = interrupted_after_an_undecided_load(case)
    evidence = SimpleNamespace(broken=())
    monkeypatch.setattr(Evidence, "load", lambda folder: evidence if folder == case.folder / run else None)
    case.search(lambda load, _number: undecided_says(load, case), steps, number=len(steps))
    assert case.pooled[0] == [evidence]
    assert not any("cannot be read" in text for text in case.said)


@pytest.mark.parametrize("broken", [False, True])
def test_where_its_evidence_cannot_be_read_the_repetition_is_judged_alone_and_it_is_said(
    case: Case, monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    _, steps, run = interrupted_after_an_undecided_load(case)
    if broken:
        monkeypatch.setattr(Evidence, "load", lambda _folder: SimpleNamespace(broken=("samples: torn",)))
    case.search(recorded=steps, number=len(steps))
    assert case.pooled[0] == []
    (told,) = [text for text in case.said if "cannot be read" in text]
    assert run in told and (not broken or "samples: torn" in told)


def test_what_is_shown_while_it_goes_has_the_level_with_its_unit_and_a_time_that_falls(case: Case) -> None:
    whole = case.search(shows=True)
    assert [load.purpose for load in case.seen] == [each.purpose for each in whole.steps]
    assert {load.curve for load in case.seen} == {"health" if case.of_rates else "azure latency"}
    assert case.seen[1].level == ("36/s" if case.of_rates else "500 ms")
    assert case.of_rates or case.seen[0].level == "no fault"
    left = [load.curve_left_s for load in case.seen if load.purpose != "return"]
    assert all(later < before for before, later in pairwise(left)), "health, too, is over only once"
    assert left[0] == pytest.approx(case.rules.times.longest_ms() / 1000 - 0.5)
    assert case.seen[0].certified == "" and whole.certified.startswith(case.rules.curve)


def test_each_load_is_said_when_it_has_ended(case: Case) -> None:
    whole = case.search()
    assert len(case.said) == len(whole.steps)
    for text, each in zip(case.said, whole.steps, strict=True):
        assert each.purpose in text and each.outcome in text and case.rules.level_text(each.searched_level) in text
