"""What a person sees while a run is on: a live panel on a TTY, plain lines elsewhere, nothing with --quiet.

Everything here goes to stderr. A display informs and never decides. It shares no lock with the run; writing to stderr
can block if nobody reads it, and the supervisor, which is another process, then goes on.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.run.progress import DRAIN, OVER, Display, EndedPhase, NullDisplay, Progress
from harness.stack.events import ChildDied, ChildReady, Event, FaultChanged, LoadDone, LoadStarted, RigTrouble
from harness.text import paragraph, split_quote
from harness.units import format_count, format_duration, format_things

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, RenderableType
    from rich.live import Live

    from harness.rundir.plan import Plan

LINE_EVERY_MS = 30_000
"""A line is written at least this often (ms of run time), even if the phase does not change."""


def make_display(*, quiet: bool) -> Display:
    """The display that fits where stderr goes."""
    if quiet:
        return NullDisplay()
    console = make_console()
    return Panel(console) if console.is_terminal and not console.is_dumb_terminal else Lines()


def make_console() -> Console:
    """rich's console on stderr, which takes texts as they are."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def describe_event(event: Event) -> str | None:
    """One line for people; None for what they need not see."""
    text = _described(event)
    return None if text is None else paragraph(text)


def _described(event: Event) -> str | None:
    match event:
        case ChildReady(child=child, after_ms=after_ms, detail=detail):
            return f"ready     {child} after {format_duration(after_ms)}{f' ({detail})' if detail else ''}"
        case LoadStarted():
            return "load      started"
        case FaultChanged(entry=entry):
            detail = f" ({entry.detail})" if entry.detail else ""
            return f"fault     {entry.fault} on {entry.upstream}: {entry.event}{detail}"
        case ChildDied(death=death):
            return f"died      {death.child} {death.how}{f': {death.last_line}' if death.last_line else ''}"
        case RigTrouble(fault=fault):
            return f"trouble   {split_quote(fault.message)[0]}"  # the summary shows the log, with what to do
        case LoadDone():
            return "load      done, every row is on disk"
    return None


def describe_p99(p99_ms: float | None) -> str:
    """For people. Infinite: the request at the 99th percentile failed. None: no request has ended yet."""
    if p99_ms is None:
        return "-"
    return "an error" if p99_ms == float("inf") else format_duration(p99_ms)


def _describe_ended(phase: EndedPhase) -> str:
    return f"{phase.name}: {_describe_requests(phase.n, phase.errors, phase.p99_ms)}"


def _describe_so_far(progress: Progress) -> str:
    figures = f", {_describe_requests(progress.n, progress.errors, progress.p99_ms)} so far" if progress.n else ""
    return f"{_describe_phase(progress)}{figures}"


def _describe_now(progress: Progress) -> str:
    """What follows the figures of the phases before: the phase under way, if there is one."""
    return "" if progress.phase == OVER else f" · now {_describe_phase(progress)}"


def _describe_phase(progress: Progress) -> str:
    if progress.phase == DRAIN:
        return "waiting for requests that are still open"
    return f"{progress.phase}, {format_duration(progress.phase_left_ms)} of it left"


def _describe_requests(n: int, errors: int, p99_ms: float | None) -> str:
    if not n:
        return "no request has ended"
    return f"{format_things(n, 'request')}, {format_count(errors)} failed, p99 {describe_p99(p99_ms)}"


@dataclass(slots=True)
class Lines:
    """One line for each phase, once its figures are known, and one in thirty seconds, for logs of CI jobs."""

    _last_ms: float = float("-inf")

    def began(self, plan: Plan, run_dir: Path, header: str) -> None:
        self._last_ms = float("-inf")
        self._say(header)

    def event(self, event: Event) -> None:
        if (text := describe_event(event)) and not isinstance(event, ChildReady):
            self._say(text)

    def progress(self, progress: Progress) -> None:
        if not progress.ended and progress.t_ms - self._last_ms < LINE_EVERY_MS:
            return
        self._last_ms = progress.t_ms
        *before, last = [_describe_ended(phase) for phase in progress.ended] or [_describe_so_far(progress)]
        for text in before:
            self._say_at(progress, text)
        self._say_at(progress, f"{last}{_describe_now(progress)}" if progress.ended else last)

    def _say_at(self, progress: Progress, text: str) -> None:
        self._say(f"{progress.t_ms / 1000:7.1f} s  {text}")

    def note(self, text: str) -> None:
        self._say(text)

    def ended(self) -> None: ...

    def _say(self, text: str) -> None:
        print(paragraph(text), file=sys.stderr, flush=True)  # noqa: T201  the display's own channel


@dataclass(slots=True)
class Panel:
    """Phase, time left, rate, p99 so far and active faults, redrawn in place; events scroll above."""

    console: Console
    _live: Live | None = field(default=None, init=False)
    _gateway_ms: float | None = field(default=None, init=False)

    def began(self, plan: Plan, run_dir: Path, header: str) -> None:
        from rich.live import Live

        self.ended()  # the panel of the cell before
        self._gateway_ms = plan.gateway.timeout_ms
        self.console.print(paragraph(header), style="bold", markup=False)
        self._live = Live(self._starting(), console=self.console, refresh_per_second=4, transient=True)
        self._live.start()

    def event(self, event: Event) -> None:
        text = describe_event(event)
        if text and not isinstance(event, ChildReady | LoadStarted):
            style = "red" if isinstance(event, ChildDied | RigTrouble) else "dim"
            self.console.print(text, style=style, markup=False)
        elif text and self._live:
            self._live.update(self._starting(text))

    def progress(self, progress: Progress) -> None:
        if self._live and progress.phase != OVER:
            self._live.update(self._body(progress))

    def note(self, text: str) -> None:
        self.console.print(paragraph(text), markup=False)

    def ended(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def _starting(self, text: str = "") -> RenderableType:
        from rich.spinner import Spinner
        from rich.text import Text

        return Spinner("dots", Text(f"starting  {text}"))

    def _body(self, progress: Progress) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        at_timeout = self._gateway_ms is not None and (progress.p99_ms or 0) >= self._gateway_ms
        grid = Table.grid(padding=(0, 2))
        for _ in range(6):
            grid.add_column(no_wrap=True)
        grid.add_row(
            Text(progress.phase, style="bold"),
            Text(f"{format_duration(progress.phase_left_ms)} of it left", style="dim"),
            Text(f"{progress.rate_per_s:.0f}/s answered"),
            Text(f"p99 so far {describe_p99(progress.p99_ms)}", style="red" if at_timeout else ""),
            Text(f"{progress.gateway_timeouts} × 504", style="red" if progress.gateway_timeouts else "dim"),
            Text(
                f"fault: {', '.join(progress.active)}" if progress.active else "no fault",
                style="yellow" if progress.active else "dim",
            ),
        )
        done = max(0.0, progress.t_ms)  # it is negative during the warm-up
        bar = ProgressBar(total=max(progress.end_ms, 1), completed=done, width=48)
        left = Text(f" {format_duration(max(0.0, progress.end_ms - progress.t_ms))} left", style="dim")
        row = Table.grid()
        row.add_row(bar, left)
        return Group(grid, row)
