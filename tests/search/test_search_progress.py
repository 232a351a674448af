"""What a search shows while it goes, with and without a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.cli.display.live import Lines
from harness.cli.display.search_panel import SearchPanel, make_search_display
from harness.run.progress import NullDisplay
from harness.search.search_progress import LoadUnderWay, SearchProgress, SearchState, certified_text


def load(**fields: object) -> LoadUnderWay:
    known: dict[str, object] = {
        "curve": "azure-slow", "purpose": "explore", "level": "64.8/s", "at_s": 5.0, "length_s": 17.0,
        "certified": "", "curve_left_s": 300.0,
    }  # fmt: skip
    return LoadUnderWay(**{**known, **fields})  # type: ignore[arg-type]


def shown(progress_of: LoadUnderWay) -> SearchState:
    seen: list[SearchState] = []
    progress = SearchProgress([500.0, 300.0, 400.0], seen.append, ["health 180/s and not 200/s"])
    progress.update(progress_of)
    return seen[0]


def test_it_says_which_load_of_which_curve_and_how_long_is_left() -> None:
    state = shown(load())
    assert str(state) == ("curve 2 of 3, azure-slow · explore at 64.8/s · 12.0 s of it left · at most 11m 40s in all")
    assert state.left_s == 300 + 400
    assert "explore at 64.8/s · its last requests · " in str(shown(load(at_s=17.0)))


def test_what_is_certified_so_far_is_that_of_all_curves() -> None:
    assert shown(load()).certified == ("health 180/s and not 200/s",)
    assert shown(load(certified="azure-slow 140/s")).certified == ("health 180/s and not 200/s", "azure-slow 140/s")
    assert certified_text("health", None, "20/s") == "health not 20/s"


def test_a_panel_shows_it_in_place_and_notes_above() -> None:
    written = io.StringIO()
    panel = SearchPanel(Console(file=written, force_terminal=True, width=120))
    panel.show(shown(load(certified="azure-slow 140/s")))
    panel.note("  health  explore  36/s  held")
    panel.show(shown(load(at_s=16.0, certified="azure-slow 140/s")))
    panel.ended()
    panel.ended()
    text = written.getvalue()
    for part in ("explore at 64.8/s", "certified so far: health 180/s and not 200/s; azure-slow 140/s", "/s  held"):
        assert part in text, part


def test_without_a_terminal_there_are_lines_and_with_quiet_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    display, show = make_search_display(quiet=True)
    assert isinstance(display, NullDisplay)
    show(shown(load()))
    display, show = make_search_display(quiet=False)
    assert isinstance(display, Lines)
    show(shown(load()))
