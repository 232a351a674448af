"""What the charts of searches draw, and what they leave out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.rundir.searches.capacity import StepGate
from harness.rundir.searches.frontier import FrontierCurve, FrontierKind
from reports.charts.levels import by_level
from reports.charts.limits import p99_limit_ms
from reports.searches import capacity_page
from tests.search.frontier.scenarios import curve, level_step
from tests.search.made_up_search import made_up
from tests.search.steps import gate

NOT_OF_ALL = ("p99.9 < 5s", "p99(ttfb) < 5s", "p99(ok) < 5s", "p99 for search < 5s", "p99 of azure < 5s", "max < 5s")


def drawn(*curves: FrontierCurve) -> str:
    chart = by_level(curves, "label")
    assert chart is not None
    return str(chart)


def line_across(*curves: FrontierCurve) -> str | None:
    found = re.search(r'class="lv limit"[^>]*>([^<]*)<', drawn(*curves))
    return found[1] if found else None


def back(text: str = "recovery < 15s after azure-outage", limit: float = 15_000, **figures: Any) -> StepGate:
    return gate(text, limit, **{"observed": 2_000.0, **figures})


def outages(*steps: tuple[float, str, float | None], **fields: Any) -> FrontierCurve:
    gates = [(level, outcome, back(observed=observed)) for level, outcome, observed in steps]
    found = tuple(level_step(level, outcome, gates=(gate,)) for level, outcome, gate in gates)
    return curve(10_000, None, kind="outage", steps=found, **fields)


@pytest.mark.parametrize("outcome", ["generator", "undecided"])
def test_an_outage_of_which_nothing_is_known_is_not_drawn_as_one_that_did_not_recover(outcome: str) -> None:
    known = ((10_000, "held", 2_000.0), (90_000, "broke", None))
    assert drawn(outages(*known, (30_000, outcome, None))) == drawn(outages(*known))
    assert by_level([outages((30_000, outcome, None))], "label") is None
    assert drawn(outages(*known, (30_000, "broke", None))) != drawn(outages(*known))


def latencies(*more: Any, kind: FrontierKind = "latency") -> FrontierCurve:
    return curve(500, None, kind=kind, steps=(level_step(500), level_step(4_500, p99_ms=2_500.0), *more))


@pytest.mark.parametrize("outcome", ["held", "undecided", "broke"])
def test_a_measured_p99_is_drawn_however_its_gate_was_decided(outcome: str) -> None:
    assert drawn(latencies(level_step(1_500, outcome, p99_ms=900.0))) != drawn(latencies())


@pytest.mark.parametrize(
    "figures",
    [{"outcome": "generator"}, {"outcome": "undecided", "unmet": "no call came", "fault_met": False}],
    ids=str,
)
def test_a_load_that_says_nothing_of_its_level_is_not_drawn(figures: dict[str, Any]) -> None:
    assert drawn(latencies(level_step(1_500, p99_ms=900.0, **figures))) == drawn(latencies())


@pytest.mark.parametrize("text", NOT_OF_ALL)
def test_the_line_across_is_the_limit_on_the_p99_of_all_requests_and_of_nothing_else(text: str) -> None:
    other, own = gate(text, 5_000), gate("p99 < 2s", 2_000)
    assert p99_limit_ms([other]) is None
    assert p99_limit_ms([other, own, gate("p99 < 3s during baseline", 3_000)]) == 2_000
    assert line_across(curve(500, None, steps=(level_step(500, gates=(other,)),))) is None
    assert line_across(curve(500, None, steps=(level_step(500, gates=(other, own)),))) == "2 s"


def test_the_page_of_a_capacity_search_has_the_limit_on_the_p99_of_all_requests_too() -> None:
    results = made_up(faults=False)
    (health,) = results.curves
    steps = tuple(step.model_copy(update={"gates": (gate("p99.9 < 7s", 7_000),)}) for step in health.steps)
    assert "limit 1 s" in capacity_page.page(results)
    other = results.model_copy(update={"curves": (health.model_copy(update={"steps": steps}),)})
    assert "limit 7 s" not in capacity_page.page(other)


def test_the_limit_is_that_of_the_loads_with_the_fault() -> None:
    health = level_step(None, purpose="health", gates=(gate("p99 < 1s", 1_000),))
    found = curve(500, None, steps=(health, level_step(500, gates=(gate("p99 < 4s", 4_000),))))
    assert line_across(found) == "4 s"


def test_upstreams_with_different_limits_have_no_common_line() -> None:
    azure = outages((10_000, "held", 2_000.0))
    gcp = curve(10_000, None, upstream="gcp", kind="outage", steps=azure.steps)
    nine = back("recovery < 9s after gcp-outage", 9_000)
    other = gcp.model_copy(update={"steps": (level_step(10_000, gates=(nine,)),)})
    assert line_across(azure, gcp) == "15 s"
    assert line_across(azure, other) is None
    assert line_across(azure, gcp.model_copy(update={"steps": ()})) == "15 s", "one that has not begun has none"
