"""Which upstreams an alert metric says are raised, in texts as services write them and as they should not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rundir.planned.upstream import PlannedUpstream
from harness.stack.detection.exposition import LINE_MOST, alerts, holds_samples, import_parser, is_metrics
from tests.rundir.recording import make_plan

NAMES = ("azure", "gcp", "aws", "oci", "gcp-eu", "error")


def upstreams(*names: str) -> tuple[PlannedUpstream, ...]:
    return make_plan(upstreams=names).upstreams


METRICS = """\
# HELP degraded Backend is slower or fails more than usual
# TYPE degraded gauge
degraded{backend="azure"} 1
degraded{backend="gcp"} 0.0
degraded{backend="aws",zone="a"} 0
degraded{backend="aws",zone="b"} 1.0 1395066363000
degraded{backend="oci"} NaN
degraded_total{backend="gcp"} 5
degraded{backend="gcp-eu"} many
degraded 1
other{backend="gcp"} 1
"""


def test_alerts_by_any_label_that_is_an_upstreams_name() -> None:
    found = alerts(METRICS, "degraded", upstreams(*NAMES))
    assert found == {"azure": True, "gcp": False, "aws": True, "oci": False}
    assert alerts('ALERTS{alertname="down",alertstate="firing",job="gcp"} 1', "ALERTS", upstreams(*NAMES)) == {
        "gcp": True
    }
    assert alerts('m{a="x\\"azure",b="}",c="gcp"} 1', "m", upstreams(*NAMES)) == {"gcp": True}


@pytest.mark.parametrize("text", ["", "degraded{", 'degraded{backend="azure" 1', "<html>degraded</html>", "\x00"])
def test_what_is_no_metric_raises_nothing(text: str) -> None:
    assert alerts(text, "degraded", upstreams(*NAMES)) == {}


@pytest.mark.parametrize("text", [METRICS, "", "\n", "up 1\n", "# EOF\n", "# TYPE degraded gauge\n"])
def test_what_may_be_metrics(text: str) -> None:
    assert is_metrics(text)


@pytest.mark.parametrize("text", ["<!doctype html><title>Offers</title>", '{"degraded": []}', "not found", "\n<html>"])
def test_what_is_no_metrics(text: str) -> None:
    assert not is_metrics(text)


@pytest.mark.parametrize(
    "bad",
    [
        'm{backend="gcp" 1',
        'm{backend="gcp"} many',
        'm{backend="gcp"} 1_0',
        'm{backend="gcp",backend="gcp"} 1',
        "m{backend=gcp} 1",
        'm{backend="gcp"} 1 soon',
        'm{" ="gcp"} 1',
        f'm{{backend="gcp"}} 1 {"9" * 400}',
        f'm{{backend="gcp",text="{"x" * LINE_MOST}"}} 1',
        "# TYPE m",
    ],
)
def test_a_damaged_line_is_passed_over_and_costs_no_other(bad: str) -> None:
    assert alerts(bad, "m", upstreams(*NAMES)) == {}
    around = f'm{{backend="azure"}} 1\n{bad}\nm{{backend="aws"}} 0\r\n'
    assert alerts(around, "m", upstreams(*NAMES)) == {"azure": True, "aws": False}


@pytest.mark.parametrize(
    ("line", "raised"),
    [
        ('m{backend="gcp",} 1', True),
        ('m {backend = "gcp"} 2.5e0', True),
        ('m{backend="gcp"}\t+Inf', True),
        ('m{backend="gcp"} -Inf', False),
        ('m{backend="gcp"} -1', False),
        ('m{backend="gcp",more="a\\\\"} 1', True),
        ('m{backend="gcp",more="\u2028"} 1', True),
        ('m{backend="gcp"} 1 # {trace_id="a b"} 0.5', True),
    ],
)
def test_the_formats_corners(line: str, raised: bool) -> None:
    assert alerts(line, "m", upstreams(*NAMES)) == {"gcp": raised}


@pytest.mark.parametrize("value", ["g\\cp", "gcp\\n", '\\"gcp', "GCP", "gcp ", " gcp"])
def test_a_label_that_is_nearly_a_name_is_about_no_upstream(value: str) -> None:
    assert alerts(f'm{{backend="{value}"}} 1', "m", upstreams(*NAMES)) == {}


def test_comments_are_no_samples() -> None:
    assert not holds_samples("# TYPE m gauge\n\n# EOF\n")
    assert holds_samples("# TYPE m gauge\nm 1\n")


@given(st.text(max_size=200) | st.text('{}=",\\ \t#a_1\n', max_size=60))
def test_any_text_can_be_an_answer(text: str) -> None:
    alerts(f"m{text}", "m", upstreams(*NAMES))
    is_metrics(text)


@pytest.mark.parametrize(
    "line",
    [
        "m{" + "".join(f'l{number}="",' for number in range(200_000)) + "} 1",
        'm{a="' + '\\"' * 500_000 + '"} 1',
        "m{" * 500_000,
        "m" + "\\" * 1_000_000 + '"',
        "m" + " 1" * 500_000,
    ],
    ids=["labels", "escapes", "braces", "backslashes", "values"],
)
def test_no_answer_of_a_megabyte_takes_long(line: str) -> None:
    import_parser()
    first = line[: LINE_MOST - 2]
    for text in (line, "\n".join([first] * (1_000_000 // len(first)))):
        begin_s = time.process_time()
        alerts(text, "m", upstreams(*NAMES))
        is_metrics(text)
        assert time.process_time() - begin_s < 2
