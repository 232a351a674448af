"""What the curves of a frontier search say together, in a verdict and in sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.rundir.searches.frontier import FrontierCurve
from harness.search.curve_rules import describe_step
from harness.search.frontier.answer import frontier_sentence, frontier_verdict
from harness.search.frontier.curve_search import LevelCurve
from harness.search.frontier.steps import lowest_broken
from tests.search.frontier.scenarios import curve, level_step
from tests.search.frontier.test_level_loads import loads_of

NOT_BACK = "`recovery < 15s after azure-outage` failed"


@pytest.mark.parametrize(
    ("curves", "verdict"),
    [
        ([curve(900, 1_200)], "pass"),
        ([curve(60_000, None, at_least=True, ended_by="to")], "pass"),
        ([curve(900, None, ended_by="undecided")], "inconclusive"),
        ([curve(None, 1_200, ended_by="undecided")], "inconclusive"),
        ([curve(900, 1_200), curve(None, 25, ended_by="nothing_holds")], "fail"),
        ([curve(None, None, ended_by="unhealthy")], "fail"),
        ([curve(900, 1_200), curve(None, None, ended_by="rig")], "rig_failure"),
        ([curve(900, None, ended_by="interrupted")], "inconclusive"),
        ([], "inconclusive"),
    ],
)
def test_the_verdict(curves: list[FrontierCurve], verdict: str) -> None:
    assert frontier_verdict(curves) == verdict


def test_the_sentence_of_one_upstream() -> None:
    both = [curve(900, 1_200), curve(40_000, 75_000, kind="outage", broke=NOT_BACK)]
    assert frontier_sentence(both) == (
        "azure may answer up to 900 ms later; at 1.2 s `p99 < 2s` failed. "
        "It may hang for 40 s; after 75 s `recovery < 15s after azure-outage` failed."
    )


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (curve(1.0, None, kind="hang", unit="share", at_least=True, ended_by="to"), "may leave every call unanswered"),
        (
            curve(0.5, None, kind="errors", unit="share", at_least=True, ended_by="to"),
            "may fail in 50.0 % of its calls",
        ),
        (curve(0.02, 0.03, kind="errors", unit="share"), "may fail in up to 2.00 % of its calls; at 3.00 % `p99"),
        (curve(120_000, None, kind="outage", at_least=True, ended_by="to"), "may hang for 120 s, and nothing longer"),
        (curve(None, 25, ended_by="nothing_holds"), "may not even answer 25 ms later: `p99 < 2s` failed"),
        (curve(900, None, ended_by="undecided"), "up to 900 ms later; from where on it may not is not certified"),
        (curve(None, None, ended_by="undecided"), "has no level of latency that could be certified."),
        (curve(None, 1_200, ended_by="undecided", given_up="x"), "be certified; at 1.2 s `p99 < 2s` failed."),
        (curve(None, None, ended_by="undecided", given_up="x"), "that could be certified; the search ended since x."),
        (curve(900, None, ended_by="undecided", given_up="x"), "is not certified; the search ended since x."),
        (curve(None, None, ended_by="unhealthy", broke="`x` fell"), "does not hold without any fault (`x` fell)"),
    ],
)
def test_the_sentence_of_each_end(found: FrontierCurve, says: str) -> None:
    assert says in frontier_sentence([found])


def test_the_break_that_is_named_is_that_of_the_lowest_level_that_was_shown_to_fail() -> None:
    steps = [
        level_step(None, purpose="health"),
        level_step(3_000, "broke", reason="explored"),
        level_step(None, "broke", purpose="return", reason="not back"),
        level_step(3_000, "broke", purpose="refute", reason="shown"),
    ]
    assert lowest_broken(steps) == steps[3]
    assert lowest_broken(steps[:3]) == steps[1]
    assert lowest_broken(steps[:1]) is None


def test_a_line_of_progress_says_how_the_load_ended(tmp_path: Path) -> None:
    latency, outage = LevelCurve(loads_of(tmp_path)), LevelCurve(loads_of(tmp_path, "outage"))
    assert describe_step(level_step(900, p99_ms=980.0), latency) == (
        "  azure latency    explore      900 ms  held: p99 980 ms, 4.0 in flight"
    )
    broke = level_step(None, "broke", purpose="return", n=0, reason="why")
    assert describe_step(broke, latency).endswith("return     no fault  broke: nothing arrived (why)")
    gate = {
        "text": "recovery < 15s after azure-outage", "low": None, "high": None, "limit": 15_000, "unit": "ms",
        "breaks": False, "verdict": "pass", "observed": 2_500.0,
    }  # fmt: skip
    assert describe_step(level_step(40_000, gates=(gate,)), outage).endswith("40 s  held: back after 2.50 s")
    unknown = {**gate, "observed": None}
    never = level_step(40_000, "broke", gates=(unknown,), reason="it fell")
    assert describe_step(never, outage).endswith("broke: not back (it fell)")
    unclear = level_step(40_000, "undecided", gates=(unknown,), reason="the baseline itself has errors")
    assert describe_step(unclear, outage).endswith(
        "undecided: p99 300 ms, 4.0 in flight (the baseline itself has errors)"
    )


@pytest.mark.parametrize("certified", [None, 900.0])
def test_what_could_not_be_certified_says_why(certified: float | None) -> None:
    steps = (level_step(500, "generator", reason="before"), level_step(900, "undecided", reason="too few came"))
    assert frontier_sentence([curve(certified, None, ended_by="undecided", steps=steps)]).endswith("(too few came).")
