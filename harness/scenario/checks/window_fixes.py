"""Fixes for short windows: the `for`, `baseline`, `recovery` or `duration` that is long enough for a gate. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from harness.rundir.phases import Phase
from harness.scenario.checks.window_lengths import WantedLengths, round_up
from harness.scenario.planning.compile import CheckedScenario

RATE_MOST_PER_S: Final = 10_000
"""The highest rate that a fix names."""


@dataclass(frozen=True, slots=True)
class WindowFixes:
    """What to write so that a window is long enough. `wanted`: the lengths with all fixes applied."""

    checked: CheckedScenario
    wanted: WantedLengths

    def length(self, phase: Phase, needed_ms: float) -> str:
        """What to write so that an empty phase is long enough."""
        name, checked = phase.name.removeprefix("after "), self.checked
        if phase.name == "baseline":
            faults = checked.scenario.faults
            if self._with_at:
                return (
                    f"let the first fault begin at {round_up(needed_ms + checked.timeline.guard_ms)}, after its guard"
                )
            return self._and_load(f"write load.baseline: {round_up(needed_ms)}") if faults else "write load.duration"
        if phase.name.startswith("after ") and not self._with_at:
            return self._recovery(phase, needed_ms)
        if phase.name.startswith("after "):
            return f"leave load after `{name}`: load.recovery, load.duration, or a later `at` of the next fault"
        return f"make `for` of `{name}` longer"

    def load_after(self, phase: Phase, needed_ms: float) -> str:
        """What to write so that the load goes on for `needed_ms` after a fault. The phase is not empty."""
        another_follows = phase.end_ms < self.checked.timeline.duration_ms
        if another_follows and self._with_at:
            return self.length(phase, needed_ms)
        if self._with_at and self._grows_alone:
            return f"write load.recovery: {round_up(needed_ms)}"
        return self._recovery(phase, needed_ms)

    def longer(self, phase: Phase, short_ms: float) -> str:
        """What to write so that a window grows by `short_ms`."""
        lengthened = self._lengthened(phase, short_ms)
        if lengthened:
            return self._and_load(f"write {lengthened}" + (f" for `{phase.name}`" if self._fault_ms(phase) else ""))
        if phase.name == "baseline" and self.checked.scenario.faults:
            return f"let the first fault begin {round_up(short_ms)} later"
        if phase.name.startswith("after ") and not self._with_at:
            return self._recovery(phase, phase.seconds * 1000 + short_ms)
        if phase.name.startswith("after "):
            return self.length(phase, short_ms)
        return self._longer_load(short_ms)

    def least(self, phase: Phase, short_ms: float, least_ms: float) -> str:
        """An addition to `longer(phase, short_ms)`: what is accepted too, with a window that grows by `least_ms` only;
        empty if that is no other length."""
        least = self._lengthened(phase, least_ms)
        if not least or least == self._lengthened(phase, short_ms):
            return ""
        return f"; {least} is the least that is accepted, but can pass only if next to no request is slow"

    def load(self, needed_ms: float) -> str:
        """What to write so that the load lasts `needed_ms`, and as long as the other fixes need."""
        load_ms = max(needed_ms, self.wanted.load_ms)
        if self.checked.scenario.load.duration_ms is not None:
            return f"write load.duration: {round_up(load_ms)}"
        return f"let the load last {round_up(load_ms)}"

    @property
    def _with_at(self) -> bool:
        return any(fault.at_ms is not None for fault in self.checked.scenario.faults)

    @property
    def _grows_alone(self) -> bool:
        """Whether the length of the load follows from its phases."""
        load = self.checked.scenario.load
        return not load.is_staged and load.replay is None and load.duration_ms is None

    def _fault_ms(self, phase: Phase) -> float:
        """The `for` of the fault whose window this is; 0 if it is none."""
        return next((fault.for_ms for fault in self.checked.scenario.faults if fault.name == phase.name), 0.0)

    def _lengthened(self, phase: Phase, short_ms: float) -> str:
        """The key with its value that makes the phase longer by `short_ms`; empty if there is no such key."""
        repeats = any(fault.name == phase.name and fault.every_ms for fault in self.checked.scenario.faults)
        if for_ms := self._fault_ms(phase):
            return "" if repeats else f"`for: {round_up(for_ms + short_ms)}`"
        timeline = self.checked.timeline
        if phase.name == "baseline" and self.checked.scenario.faults and not self._with_at:
            return f"load.baseline: {round_up(timeline.baseline_ms + short_ms)}"
        if phase.name.startswith("after ") and self._grows_alone and not self._with_at:
            return f"load.recovery: {round_up(timeline.recovery_ms + short_ms)}"
        return ""

    def _recovery(self, phase: Phase, needed_ms: float) -> str:
        """What to write so that a phase after a fault lasts `needed_ms`, where faults follow one another."""
        another_follows = phase.end_ms < self.checked.timeline.duration_ms and phase.intervals
        if another_follows or self._grows_alone:
            return self._and_load(f"write load.recovery: {round_up(needed_ms)}")
        return self._longer_load(needed_ms - phase.seconds * 1000)

    def _longer_load(self, short_ms: float) -> str:
        load, now_ms = self.checked.scenario.load, self.checked.timeline.duration_ms
        longer_ms = max(now_ms + short_ms, self.wanted.load_ms)
        if load.is_staged or load.replay is not None:
            return f"let the load last {round_up(longer_ms - now_ms)} longer"
        return f"write load.duration: {round_up(longer_ms)}"

    def _and_load(self, fix: str) -> str:
        """The fix, with the longer load that it needs where the scenario says how long the load lasts."""
        load, now_ms = self.checked.scenario.load, self.checked.timeline.duration_ms
        longer_ms = self.wanted.load_ms - now_ms
        if self._grows_alone or longer_ms <= 0:
            return fix
        if load.duration_ms is not None:
            return f"{fix}, and load.duration: {round_up(now_ms + longer_ms)}"
        return f"{fix}, and let the load last {round_up(longer_ms)} longer"


def rate_that_suffices(needed_ms: Callable[[float], float], rate_per_s: float, has_ms: float) -> int | None:
    """The lowest whole rate above `rate_per_s` at which no more than `has_ms` is needed; None if no rate is enough.

    `needed_ms` says how long a window must be at a rate; it never grows with the rate.
    """
    rates = range(math.floor(rate_per_s) + 1, RATE_MOST_PER_S + 1)
    at = bisect_left(rates, True, key=lambda rate: needed_ms(rate) <= has_ms)
    return rates[at] if at < len(rates) else None
