"""What the charts of searches draw, and what they leave out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.rundir.searches.capacity import StepGate
from harness.rundir.searches.frontier import FrontierCurve, FrontierKind
from reports.charts import rates
from reports.charts.levels import by_level
from reports.charts.limits import p99_limit_ms
from reports.charts.plot import LogAmount
from reports.searches import capacity_page, frontier_page
from tests.search.frontier import scenarios
from tests.search.frontier.scenarios import curve, level_step
from tests.search.made_up_search import curve_of, made_up
from tests.search.steps import gate, step

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


# ---------------------------------------------------------------- the pages, and the chart by rate


def test_the_page_of_a_capacity_search_has_a_limit_only_if_every_curve_has_that_limit() -> None:
    results = made_up()
    assert "limit 1 s" in capacity_page.page(results)
    for others in ((gate("p99 < 2s during azure-slow", 2_000),), (gate("errors < 1%", 0.01, unit="share"),)):
        health, slow, gone = results.curves
        steps = tuple(each.model_copy(update={"gates": others}) for each in slow.steps)
        curves = (health, slow.model_copy(update={"steps": steps}), gone)
        assert not re.search(r">limit \d", capacity_page.page(results.model_copy(update={"curves": curves})))


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("not_begun", [(), ("azure-slow", "gcp-slow")])
def test_a_page_says_that_its_search_was_interrupted_and_what_was_not_begun(
    *, interrupted: bool, not_begun: tuple[str, ...]
) -> None:
    fields: dict[str, Any] = {"interrupted": interrupted, "not_begun": not_begun}
    of_rates = capacity_page.page(made_up(faults=False).model_copy(update=fields))
    of_levels = frontier_page.page(scenarios.results(latencies(), **fields))
    for page in (of_rates, of_levels):
        banner = page[page.index('class="story"') : page.index('id="theme"')]
        assert ("It was interrupted" in banner) is interrupted
        assert ("It ended early" in banner) is (bool(not_begun) and not interrupted)
        assert ("; not begun: azure-slow, gcp-slow." in banner) is bool(not_begun)


@pytest.mark.parametrize(
    ("purpose", "outcome", "certifies"),
    [
        ("soak", "held", True),
        ("refute", "broke", True),
        ("soak", "broke", False),
        ("soak", "undecided", False),
        ("refute", "held", False),
        ("refute", "generator", False),
        ("explore", "held", False),
    ],
)
def test_only_a_load_that_certifies_has_a_large_mark(purpose: str, outcome: str, certifies: bool) -> None:
    one = step(40, outcome, purpose=purpose, alpha=0.05)
    health = curve_of(None, 180, 240).model_copy(update={"steps": (one,)})
    assert (" certified" in str(rates.latency([health], None))) is certifies


def test_of_a_load_without_requests_no_p99_failed() -> None:
    """In the tables of both pages; a load whose requests failed says so."""
    (health,) = made_up(faults=False).curves
    for n, shown in ((0, "–"), (12, "failed")):
        figures: dict[str, Any] = {"n": n, "p50_ms": 9.0, "p99_ms": None}
        loads = health.model_copy(update={"steps": (step(20, "broke", **figures),)})
        of_rates = capacity_page.page(made_up(faults=False).model_copy(update={"curves": (loads,)}))
        of_levels = frontier_page.page(
            scenarios.results(curve(None, 500, steps=(level_step(500, "broke", **figures),)))
        )
        for page in (of_rates, of_levels):
            assert f"<td>9 ms</td><td>{shown}</td>" in page


@pytest.mark.parametrize(
    "figures",
    [[137], [36, 42], [250, 420], [20, 1_700], [1, 9], [0.4], [999_000, 1_000_000], [3, 3_000], [1.3, 80], [5, 20]],
    ids=str,
)
def test_an_axis_of_rates_has_at_least_two_words_inside(figures: list[float]) -> None:
    scale = LogAmount.around(figures, "/s")
    words = [(at, word) for at, word in scale.ticks() if word]
    assert 2 <= len(words) <= 7
    assert len({word for _, word in words}) == len(words)
    for at, word in words:
        value = float(word.removesuffix("/s").replace(",", ""))
        assert scale.low - 1e-9 <= value <= scale.high + 1e-9
        assert scale.at(value) == pytest.approx(at)
