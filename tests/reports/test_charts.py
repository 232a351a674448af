from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest

from harness.evidence.joining.row_table import RowTable
from harness.rundir.results import GateResult
from harness.rundir.rows import SAMPLES, Outcome
from reports import formatting, frame
from reports.charts import percentiles
from reports.charts.gates import strip, used
from reports.charts.plot import Amount, LogMs, Plot, Seconds, steps
from tests.reports.made_up_results import ALL_VERDICTS, NASTY, gate


def test_left_of_the_line_is_good_for_every_kind_of_gate() -> None:
    for each in ALL_VERDICTS:
        multiple = used(each, each.observed if each.observed is not None else each.censored_at_ms)
        assert multiple is not None
        assert (multiple < 1) == (each.verdict == "pass"), each.text


@pytest.mark.parametrize(
    ("each", "arrows", "dots"),
    [
        (gate(), "", 1),
        (gate(observed=50_000.0, low=40_000.0, high=60_000.0), "▶", 0),
        (gate(observed=1.0, low=None, high=2.0), "◀", 0),
        (gate(observed=None, low=None, high=None, censored_at_ms=2000.0), "▶", 1),
        (gate(observed=None, low=None, high=None), "", 0),
        (gate(limit=None), "", 0),
        (gate(high=None), "▶", 1),
        (gate(unit="per_s", op=">", limit=30.0, observed=0.0, low=0.0, high=0.0), "▶", 0),
        (gate(unit="share", limit=0.0, observed=0.0, low=0.0, high=0.1), "◀▶", 0),
    ],
)
def test_what_lies_beyond_the_axis_is_an_arrow(each: GateResult, arrows: str, dots: int) -> None:
    markup = str(strip(each))
    assert set(re.findall("[▶◀]", markup)) == set(arrows)
    assert markup.count('class="dot') == dots
    assert 'role="img" aria-label="' in markup
    assert "nan" not in markup
    assert "inf" not in markup


def test_a_cut_off_latency_is_never_given_as_a_figure() -> None:
    cut_off = ALL_VERDICTS[0]
    assert formatting.observed(cut_off) == "≥ 2.00 s"
    assert formatting.interval(cut_off, 2000.0) == "cut off by the gateway"
    assert formatting.interval(cut_off, None) == "cut off by the client"


def test_a_limit_is_spelled_exactly() -> None:
    assert [formatting.limit(each) for each in ALL_VERDICTS] == [
        "< 2 s",
        "< 1 %",
        "< 2.5 s",
        "< 2 s",
        "> 99 %",
        "> 30/s",
    ]


def test_names_in_charts_are_escaped_and_made_visible() -> None:
    plot = Plot(NASTY, Seconds(0, 1000), Amount(1.0))
    plot.ends([(0.5, NASTY, "c0")], 0.1)
    markup = str(plot.render())
    assert "<script" not in markup
    assert "\\u202e" in markup
    assert not re.search("[\x00-\x08\x1b\u202e]", markup)


def test_names_at_the_right_edge_do_not_cover_each_other() -> None:
    plot = Plot("", Seconds(0, 1), Amount(1.0))
    plot.ends([(0.5, "b", "c0"), (0.5, "a", "c1"), (0.51, "c", "c2")], 0.06)
    places = [float(place) for place in re.findall(r"end c\d\" style=\"bottom:([\d.]+)%", str(plot.render()))]
    assert all(right - left >= 5.99 for left, right in itertools.pairwise(places))


def test_a_gap_lifts_the_pen() -> None:
    plot = Plot("", Seconds(0, 3), Amount(1.0))
    plot.line(steps([0, 1, 2, 3], [0.5, math.nan, 0.5]), "c0")
    path = re.search(r'class="line c0" d="([^"]+)"', str(plot.render()))
    assert path
    assert path[1].count("M") == 2


@pytest.mark.parametrize("values", [[], [0.0], [math.nan, 3.0], [0.02, 0.03], [5.0, 90_000.0]])
def test_a_log_axis_always_names_at_least_one_time(values: list[float]) -> None:
    axis = LogMs.around(values)
    assert any(word for _, word in axis.ticks())
    assert axis.low_ms < axis.high_ms


def test_axes_have_round_steps() -> None:
    assert [word for _, word in Seconds(0, 110_000).ticks()] == ["0 s", "20 s", "40 s", "60 s", "80 s", "100 s"]
    assert [word for _, word in Amount.up_to([37.0], "/s").ticks()] == ["0/s", "10/s", "20/s", "30/s", "40/s"]


def _rows(latencies_ms: list[float], lost: int) -> RowTable:
    rows = np.zeros(len(latencies_ms), SAMPLES.dtype())
    rows["done_ns"] = (np.array(latencies_ms) * 1e6).astype(np.int64)
    rows["outcome"][:lost] = Outcome.CONNECTION_ERROR
    return RowTable.of([rows], SAMPLES)


def test_a_percentile_curve_keeps_failures_for_its_end() -> None:
    curve = percentiles.curve("baseline", _rows([1.0] * 10 + [100.0] * 90, lost=10))
    assert curve
    assert curve.points[0][1:] == (100.0, False), "the quick failures are not the fast end"
    assert curve.points[-1] == (2.0, 1.0, True)
    p95 = next(point for point in curve.points if point[0] >= 1.3)
    assert p95[2]


def test_the_median_is_a_point_of_the_curve() -> None:
    """A point beside it would pass for it: of 1 to 1,000 ms the one at 0.32 nines is 522 ms."""
    curve = percentiles.curve("baseline", _rows([float(each) for each in range(1, 1001)], lost=0))
    assert curve
    row = frame.percentiles([curve]).loc["baseline"]
    assert dict(row) == {"p50": 500.0, "p90": 900.0, "p99": 990.0, "p99.9": 999.0}
    assert "500 ms at the median" in percentiles.chart([curve], None)


def test_one_arrival_and_none() -> None:
    single = percentiles.curve("x", _rows([5.0], lost=0))
    assert single
    assert "<path" in percentiles.chart([single], None)
    assert percentiles.curve("x", _rows([], lost=0)) is None


def test_of_many_percentile_curves_the_baseline_and_the_slowest_are_drawn() -> None:
    def curve(name: str, ms: float) -> percentiles.Curve:
        return percentiles.Curve(name, 100, ((0.0, 1.0, False), (2.0, ms, False)))

    many = [curve("baseline", 1.0), *(curve(f"fault-{number}", 10.0 + number) for number in range(20))]
    drawn = [each.phase for each in percentiles.shown(many)]
    assert drawn == ["baseline", *(f"fault-{number}" for number in range(13, 20))]
    assert percentiles.shown(many[:5]) == many[:5]
