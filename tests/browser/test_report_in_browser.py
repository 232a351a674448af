"""The report as a reader meets it: painted, in both themes, on a telephone, with keys alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from reports.report import write_matrix_report, write_reports
from tests.browser import chromium
from tests.reports.made_up_results import NASTY, results
from tests.reports.made_up_run import five_minutes, write_run
from tests.reports.test_matrix_report import write_matrix
from tests.rundir.recording import make_plan, slow_fault

pytestmark = pytest.mark.browser
WIDTHS = (390, 820, 1440)


@pytest.fixture(autouse=True)
def _browser() -> None:
    if chromium.BINARY is None:
        reason = "no chromium on PATH (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def _page(run_dir: Path) -> str:
    return write_reports(run_dir, ["html"])[0].read_text(encoding="utf-8")


def _sound(seen: list[dict[str, Any]], console: list[str]) -> None:
    """What holds of every page at every width."""
    assert console == []
    assert [answer["width"] for answer in seen] == list(WIDTHS)
    for answer in seen:
        for overflow in (answer["overflow"], answer["opened"]["overflow"]):
            assert overflow["scroll"] <= overflow["client"], f"the page scrolls sideways at {answer['width']}"
        assert answer["resources"] == []
        assert not answer["alerted"]
        assert all(width > 100 for width in answer["plots"])
        for faint in (answer["faint"], answer["switched"]["faint"], answer["opened"]["faint"]):
            assert faint == [], f"text too faint at {answer['width']}"
        assert answer["page"] != answer["switched"]["page"], "the theme button does nothing"


@pytest.mark.parametrize(
    "dark", [pytest.param(False, id="light"), pytest.param(True, id="dark", marks=pytest.mark.nightly)]
)
def test_a_five_minute_run(tmp_path: Path, dark: bool) -> None:
    page = _page(write_run(tmp_path / "run", five_minutes()))
    seen, console = chromium.ask(page, tmp_path / "profile", dark=dark, widths=WIDTHS)
    _sound(seen, console)
    for answer in seen:
        assert (answer["page"] == "rgb(14, 18, 22)") == dark, "the page does not follow the system's theme"
        assert answer["canvas"]["opaque"] > 5_000
        assert len(answer["canvas"]["colours"]) == 8
        assert answer["canvas"]["colours"] != answer["switched"]["canvas"]["colours"], "the chart kept its theme"
        assert answer["canvas"]["width"] <= answer["width"]
        assert all(text.endswith("ms") for text in answer["read"]), "arrow keys show the figures of a bin"
        assert len(answer["read"]) == 9
        assert answer["pressed"] == "false"
        assert answer["without"]["colours"] != answer["canvas"]["colours"], "hiding the bold line changes the picture"


def test_on_paper_the_chart_fits_the_page(tmp_path: Path) -> None:
    page = _page(write_run(tmp_path / "run", five_minutes()))
    on_paper = page.replace("@media print", "@media all")
    assert on_paper != page
    (seen,), console = chromium.ask(on_paper, tmp_path / "profile", dark=True, widths=(720,))
    assert console == []
    assert 400 < seen["canvas"]["shown"] <= 720
    assert seen["page"] == "rgb(255, 255, 255)", "paper is white, whatever the screen is"
    assert seen["overflow"]["scroll"] <= seen["overflow"]["client"]


@pytest.mark.nightly
def test_names_that_want_out_do_not_get_out(tmp_path: Path) -> None:
    """By day tests/hostile/test_in_browser.py has every hostile text there is."""
    plan = make_plan(faults=[slow_fault()])
    nasty = NASTY.replace("alert(1)", "alerted=true") + "x" * 300 + "<img src=x onerror=alerted=true>"
    page = _page(write_run(tmp_path / "run", plan, results(plan, nasty=nasty)))
    seen, console = chromium.ask(page, tmp_path / "profile", dark=False, widths=WIDTHS)
    _sound(seen, console)


def test_a_rig_failure_without_rows(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", make_plan(), results(make_plan(), verdict="rig_failure", gates=()))
    for path in run_dir.glob("*.bin*"):
        path.unlink()
    seen, console = chromium.ask(_page(run_dir), tmp_path / "profile", dark=True, widths=WIDTHS)
    _sound(seen, console)
    assert [answer["canvas"] for answer in seen] == [None] * len(WIDTHS)


def test_the_ladder(tmp_path: Path) -> None:
    page = write_matrix_report(write_matrix(tmp_path / "matrix"))[0].read_text(encoding="utf-8")
    seen, console = chromium.ask(page, tmp_path / "profile", dark=False, widths=WIDTHS)
    _sound(seen, console)
