"""The page of a capacity search as a reader meets it: its curves are painted in both themes, and fit a telephone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reports.searches.capacity_page import page
from tests.browser import chromium
from tests.search.made_up_search import made_up

pytestmark = pytest.mark.browser
WIDTHS = (390, 1440)


@pytest.mark.parametrize(
    "dark", [pytest.param(False, id="light"), pytest.param(True, id="dark", marks=pytest.mark.nightly)]
)
def test_a_search_of_three_curves(tmp_path: Path, dark: bool) -> None:
    if chromium.BINARY is None:
        reason = "no chromium on PATH (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    seen, console = chromium.ask(page(made_up()), tmp_path / "profile", dark=dark, widths=WIDTHS)
    assert console == []
    assert [answer["width"] for answer in seen] == list(WIDTHS)
    for answer in seen:
        assert answer["overflow"]["scroll"] <= answer["overflow"]["client"], "the page scrolls sideways"
        assert (answer["page"] == "rgb(14, 18, 22)") == dark, "the page does not follow the system's theme"
        assert answer["page"] != answer["switched"]["page"], "the theme button does nothing"
        assert answer["faint"] == answer["switched"]["faint"] == [], "text too faint"
        assert len(answer["plots"]) == 3 and all(width > 100 for width in answer["plots"])
        assert answer["resources"] == []
