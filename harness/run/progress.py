"""Follows a run under way: turns events and new rows into what a display shows, and passes on a reason to stop.

It reads the row files and the clock that it is given, and decides nothing itself: with `--fail-fast` it asks
`harness.run.early_stop` whether a gate can no longer pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from harness.run.live_stats import FLUSH_NS, LiveSamples, snapshot
from harness.rundir.phases import Phase, planned_phases
from harness.rundir.plan import Plan
from harness.stack.events import Event, FaultChanged, LoadDone, LoadStarted, RigTrouble
from harness.units import NS_PER_MS

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

TICK_NS = 500_000_000
IDLE_TO_BUSY = 19
"""After a tick the monitor rests this many times as long as it took: it uses about a twentieth of a core."""
REST_MOST = 0.02
"""But it rests no longer than this share of the load so far, by which a decision of `--fail-fast` may be late."""
SETTLE_NS = FLUSH_NS + TICK_NS
"""So long after the end of a phase its requests are on disk, but for those that are still open."""

DRAIN = "drain"
# if several phases contain a moment, the one of the lowest rank is shown
_RANK = {"guard": 0, "tail": 1}


OVER = "over"
"""In place of a phase's name: the load is over."""


@dataclass(frozen=True, slots=True)
class EndedPhase:
    """A phase that is over. `n`: its requests that have ended by now; `p99_ms` as in Progress."""

    name: str
    n: int
    errors: int
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run at one moment. Times are in ms from t = 0, negative during the warm-up."""

    t_ms: float
    end_ms: float
    phase: str
    phase_left_ms: float
    rate_per_s: float
    p99_ms: float | None
    """The p99 of this phase so far; +inf if the request at that rank failed, None without requests."""
    n: int
    errors: int
    gateway_timeouts: int
    active: tuple[str, ...]
    """The names of the faults that are active."""
    ended: tuple[EndedPhase, ...] = ()
    """The phases that have ended since the last progress, in order."""


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """Why the run should stop now: `fail_fast`, a gate can no longer pass; `aborted`, a safety stop."""

    reason: Literal["fail_fast", "aborted"]
    why: str


class Display(Protocol):
    """What shows a run to the user. `note`: a message beside the progress."""

    def began(self, plan: Plan, run_dir: Path, header: str) -> None: ...
    def event(self, event: Event) -> None: ...
    def progress(self, progress: Progress) -> None: ...
    def note(self, text: str) -> None: ...
    def ended(self) -> None: ...


class NullDisplay:
    """Shows nothing."""

    def began(self, plan: Plan, run_dir: Path, header: str) -> None: ...
    def event(self, event: Event) -> None: ...
    def progress(self, progress: Progress) -> None: ...
    def note(self, text: str) -> None: ...
    def ended(self) -> None: ...


def phase_at(phases: tuple[Phase, ...], t_ms: float, end_ms: float) -> tuple[str, float, float]:
    """Name, start and end (ms) of the phase that contains a moment; `drain` after the load's end."""
    if t_ms >= end_ms:
        return DRAIN, end_ms, end_ms
    containing = [
        (_RANK.get(phase.name, 2), position, phase.name, interval)
        for position, phase in enumerate(phases)
        if phase.name != "whole"
        for interval in phase.intervals
        if interval[0] <= t_ms < interval[1]
    ]
    if not containing:  # between phases, or before the first arrival
        return ("warmup", t_ms, 0.0) if t_ms < 0 else ("whole", 0.0, end_ms)
    _, _, name, (start_ms, phase_end_ms) = min(containing)
    return name, start_ms, phase_end_ms


@dataclass(frozen=True, slots=True)
class _Span:
    """One stretch of a phase, in ms from t = 0."""

    name: str
    start_ms: float
    end_ms: float


@dataclass(slots=True)
class ProgressMonitor:
    """Follows one run. `early_stop`: called once per tick with all rows so far and t = 0; returns why the run should
    stop. None: the run is never stopped early."""

    plan: Plan
    run_dir: Path
    display: Display
    early_stop: Callable[[NDArray[Any], int], EarlyStop | None] | None = None
    clock_ns: Callable[[], int] = time.monotonic_ns
    t0_ns: int | None = field(default=None, init=False)
    reported: set[str] = field(default_factory=set, init=False)
    """The messages of rig failures that the display has shown."""
    _active: dict[str, None] = field(default_factory=dict, init=False)
    _next_tick_ns: int = field(default=0, init=False)
    _under_way: _Span | None = field(default=None, init=False)
    _unreported: list[_Span] = field(default_factory=list, init=False)
    _phases: tuple[Phase, ...] = field(init=False)
    _live: LiveSamples = field(init=False)

    def __post_init__(self) -> None:
        self._phases = planned_phases(self.plan)
        self._live = LiveSamples(self.run_dir, self.plan.load.workers)

    def event(self, event: Event) -> None:
        """Note an event of the stack, and pass it on to the display."""
        match event:
            case LoadStarted(t0_ns=t0_ns):
                self.t0_ns = t0_ns
            case FaultChanged(entry=entry) if entry.event == "applied":
                self._active[entry.fault] = None
            case FaultChanged(entry=entry) if entry.event == "removed":
                self._active.pop(entry.fault, None)
            case RigTrouble(fault=fault):
                self.reported.add(fault.message)
            case LoadDone():
                self._load_is_over()
        self.display.event(event)

    def tick(self) -> EarlyStop | None:
        """Update the display if it is time to. Returns why the run should stop now; None if it should go on."""
        now_ns = self.clock_ns()
        if self.t0_ns is None or now_ns < self._next_tick_ns:
            return None
        stop = self._tick(now_ns, self.t0_ns)
        self._next_tick_ns = max(now_ns + TICK_NS, self._rested_ns(now_ns, self.clock_ns(), self.t0_ns))
        return stop

    def _rested_ns(self, began_ns: int, ended_ns: int, t0_ns: int) -> int:
        """When the next tick may begin after one that lasted from `began_ns` to `ended_ns`. Every tick looks at all
        rows so far, which takes longer as the run goes on, and the cores are the load's."""
        rest_ns = min((ended_ns - began_ns) * IDLE_TO_BUSY, round((ended_ns - t0_ns) * REST_MOST))
        return ended_ns + max(0, rest_ns)

    def _tick(self, now_ns: int, t0_ns: int) -> EarlyStop | None:
        rows = self._live.update()
        t_ms = (now_ns - t0_ns) / NS_PER_MS
        name, start_ms, phase_end_ms = phase_at(self._phases, t_ms, self.plan.load.duration_ms)
        if self._under_way is None or self._under_way.name != name:
            self._end_phase(min(t_ms, self._under_way.end_ms) if self._under_way else t_ms)
            self._under_way = _Span(name, start_ms, phase_end_ms)
        settled = [span for span in self._unreported if t_ms >= span.end_ms + SETTLE_NS / NS_PER_MS]
        del self._unreported[: len(settled)]
        ended = tuple(self._figures(span, rows, t0_ns) for span in settled)
        self.display.progress(self._state(self._under_way, rows, t0_ns, now_ns, ended))
        return self.early_stop(rows, t0_ns) if self.early_stop else None

    def _load_is_over(self) -> None:
        """Every row is on disk: report the phases that have not been reported yet, the one under way too."""
        if self.t0_ns is None:
            return
        now_ns = self.clock_ns()
        t_ms, rows = (now_ns - self.t0_ns) / NS_PER_MS, self._live.update()
        if self._under_way:
            self._end_phase(min(t_ms, self._under_way.end_ms))
        found = [self._figures(span, rows, self.t0_ns) for span in self._unreported]
        if found and not found[-1].n:  # the load was stopped when the phase had just begun
            del found[-1]
        ended = tuple(found)
        self._unreported.clear()
        self.display.progress(self._state(_Span(OVER, t_ms, t_ms), rows, self.t0_ns, now_ns, ended))

    def _end_phase(self, end_ms: float) -> None:
        if self._under_way and self._under_way.name != DRAIN:
            self._unreported.append(_Span(self._under_way.name, self._under_way.start_ms, end_ms))
        self._under_way = None

    def _figures(self, span: _Span, rows: NDArray[Any], t0_ns: int) -> EndedPhase:
        since_ns, before_ns = (t0_ns + round(ms * NS_PER_MS) for ms in (span.start_ms, span.end_ms))
        figures = snapshot(rows, since_ns=since_ns, before_ns=before_ns, now_ns=before_ns)
        return EndedPhase(span.name, figures.n, figures.errors, figures.p99_ms)

    def _state(
        self, span: _Span, rows: NDArray[Any], t0_ns: int, now_ns: int, ended: tuple[EndedPhase, ...]
    ) -> Progress:
        t_ms = (now_ns - t0_ns) / NS_PER_MS
        figures = snapshot(rows, since_ns=t0_ns + round(span.start_ms * NS_PER_MS), now_ns=now_ns)
        return Progress(
            t_ms=t_ms,
            end_ms=self.plan.load.duration_ms,
            phase=span.name,
            phase_left_ms=max(0.0, span.end_ms - t_ms),
            rate_per_s=figures.rate_per_s,
            p99_ms=figures.p99_ms,
            n=figures.n,
            errors=figures.errors,
            gateway_timeouts=figures.gateway_timeouts,
            active=tuple(self._active),
            ended=ended,
        )
