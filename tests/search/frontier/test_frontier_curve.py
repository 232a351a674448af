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
from harness.search.curve_driver import RESTARTS_MOST, CurveDriver
from harness.search.frontier import curve_search
from harness.search.frontier.curve_search import LevelCurve
from harness.search.frontier.level_loads import LevelLoads
from harness.search.frontier.steps import curve_of, read_frontier_steps
from harness.search.frontier.upstream_faults import FrontierTarget
from harness.search.stack_loads import LoadRun, LoadSpec
from tests.search.frontier.scenarios import level_step
from tests.search.frontier.test_level_loads import loads_of

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
    made_up: MadeUp, loads: LevelLoads, folder: Path, recorded: list[FrontierStep] | None = None
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
        return level_step(level, outcome, purpose=purpose, alpha=alpha, run=run.run_dir.name), object()

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


def test_one_that_dies_again_and_again_holds_at_no_level(tmp_path: Path) -> None:
    made_up = MadeUp()

    def run(spec: LoadSpec, tick: object) -> LoadRun:
        made_up.specs.append(spec)
        if spec.placed:
            raise ServiceGone("it died")
        return LoadRun(Path("load"), None)

    made_up.run = run  # type: ignore[method-assign]
    curve, ended = searched(made_up, loads_of(tmp_path), tmp_path)
    assert ended is None
    assert curve.ended_by == "nothing_holds"
    assert made_up.renewed == sum(each.service_ended is not None for each in curve.steps) > 1
    assert curve.broke == "it died"
    assert "restarted" in curve.findings and "metastable" not in curve.findings


def test_one_that_does_not_come_back_when_it_is_started_anew_either_is_not_metastable(tmp_path: Path) -> None:
    made_up = MadeUp()
    made_up.says = lambda spec, number: "broke" if number > 2 else ""
    curve, ended = searched(made_up, loads_of(tmp_path), tmp_path)
    assert isinstance(ended, RigError)
    assert made_up.renewed == RESTARTS_MOST
    assert "restarted" in curve.findings and "metastable" not in curve.findings


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
