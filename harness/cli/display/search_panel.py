"""What a person sees while a search is on: on a TTY the load under way and what is certified so far, in place;
elsewhere a line for each load that has ended. Everything goes to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.cli.display.live import Lines, make_console
from harness.run.progress import Display, NullDisplay
from harness.search.search_progress import SearchState
from harness.text import paragraph

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

Show = Callable[[SearchState], None]


def make_search_display(*, quiet: bool) -> tuple[Display, Show]:
    """The display that fits where stderr goes, and what is shown the load under way."""
    if quiet:
        return NullDisplay(), _nothing
    if not sys.stderr.isatty():
        return Lines(), _nothing
    console = make_console()
    if not console.is_terminal or console.is_dumb_terminal:
        return Lines(), _nothing
    panel = SearchPanel(console)
    return panel, panel.show


@contextmanager
def closing(display: Display) -> Iterator[None]:
    """Take down what is shown in place, however the search ends."""
    try:
        yield
    finally:
        display.ended()


def _nothing(_state: SearchState) -> None:
    """A log has a line for each load that has ended; one that is under way would fill it."""


@dataclass(slots=True)
class SearchPanel(NullDisplay):
    """One load in place; notes scroll above."""

    console: Console
    _live: Live | None = field(default=None, init=False)

    def note(self, text: str) -> None:
        self.console.print(paragraph(text), markup=False)

    def show(self, state: SearchState) -> None:
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        self._live.update(_body(state))

    def ended(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None


def _body(state: SearchState) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    certified = "; ".join(state.certified) or "nothing yet"
    bar = ProgressBar(total=max(state.load.length_s, 1e-9), completed=state.load.at_s, width=48)
    lines = [Text(paragraph(str(state)), style="bold"), Text(paragraph(f"certified so far: {certified}"), style="dim")]
    return Group(*lines, bar)
