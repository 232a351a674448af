"""What a frontier search shows while it goes, with loads that are made up."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner
from rich.console import Console

from harness.cli.display import search_panel
from harness.cli.display.search_panel import SearchPanel
from harness.cli.frontier import frontier_command
from harness.errors import Interrupted
from harness.run.progress import NullDisplay
from harness.run.run import Options, Session
from harness.run.signals import Stopper
from harness.search.frontier import curve_search, frontier_run
from harness.search.frontier.frontier_run import plan_all, search_frontier
from harness.search.search_progress import SearchState
from harness.search.stack_loads import LoadRun, LoadSpec
from tests.search.frontier.scenarios import cell_of, level_step
from tests.search.frontier.test_level_loads import GATES, SETTINGS


class MadeUpStack:
    """In place of `StackLoads`: every load ends at once. Interrupts the search after `most` loads."""

    most = 10**6

    def __init__(self, *_args: object, **_options: object) -> None:
        self.loads = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def count_from(self, number: int) -> None:
        assert number == 0

    def run(self, spec: LoadSpec, tick: Callable[[float], None]) -> LoadRun:
        if self.loads >= self.most:
            raise Interrupted("stop")
        self.loads += 1
        tick((spec.settle_ms + spec.judged_ms) / 1000 - 2)
        return LoadRun(Path(f"load-{self.loads:03d}"), None)

    def renew(self) -> None:
        pass


@pytest.fixture(autouse=True)
def service_that_holds_up_to_eleven_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(run: LoadRun, _loads: object, wanted: Any, purpose: str, _before: object) -> tuple[Any, object]:
        level, alpha = (wanted.level, wanted.alpha) if wanted else (None, None)
        outcome = "held" if level is None or level <= 11_000 else "broke"
        return level_step(level, outcome, purpose=purpose, alpha=alpha, run=run.run_dir.name), object()

    monkeypatch.setattr(curve_search, "frontier_step", judged)
    monkeypatch.setattr(frontier_run, "StackLoads", MadeUpStack)


def states(folder: Path, show: Callable[[SearchState], None] | None = None) -> list[SearchState]:
    seen: list[SearchState] = []
    planned = plan_all(cell_of(folder, GATES, upstreams="{azure: {}}"), SETTINGS)
    search_frontier(Session(Options(folder / "runs"), NullDisplay(), Stopper()), planned, None, show or seen.append)
    return seen


def test_it_says_which_curve_of_how_many_at_which_level_and_what_is_certified(tmp_path: Path) -> None:
    seen = states(tmp_path)
    assert str(seen[0]).startswith("curve 1 of 2, azure latency · health at no fault · 2.00 s of it left · at most ")
    assert str(seen[1]).startswith("curve 1 of 2, azure latency · explore at 500 ms · 2.00 s of it left")
    assert seen[0].certified == ()
    first = next(state for state in seen if state.number == 2)
    assert str(first).startswith("curve 2 of 2, azure outage · health at no fault")
    (latency,) = first.certified
    assert latency.startswith("azure latency ") and " s and not " in latency
    assert [text.split()[1] for text in seen[-1].certified] == ["latency", "outage"]
    assert seen[0].left_s > first.left_s > seen[-1].left_s > 0


def test_what_was_certified_before_an_interruption_is_in_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MadeUpStack, "most", 4)
    assert len(states(tmp_path)) == 4
    (written,) = (tmp_path / "runs").glob("*/*/frontier.json")
    assert '"interrupted": true' in written.read_text()


def test_the_command_shows_it_in_place_on_a_terminal_and_takes_it_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    panel = SearchPanel(Console(file=written, force_terminal=True, width=120))
    monkeypatch.setattr(search_panel, "make_search_display", lambda *, quiet: (panel, panel.show))
    cell_of(tmp_path, GATES, upstreams="{azure: {}}")
    words = [str(tmp_path / "scenario.yaml"), "--all", "--yes", "--out", str(tmp_path / "runs")]
    found = CliRunner().invoke(frontier_command, words, standalone_mode=False)
    assert found.exception is None and "azure     outage" in found.output
    text = written.getvalue()
    assert "two: frontier of azure latency; azure outage; at " in text and "/s; usually about " in text
    assert "curve 2 of 2, azure outage · " in text and "certified so far: azure latency " in text
    assert panel._live is None
