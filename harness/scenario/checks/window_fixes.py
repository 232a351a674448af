"""Fixes for short windows: the `for`, `baseline`, `recovery` or `duration` that is long enough for a gate. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from harness.rundir.phases import Phase
from harness.scenario.planning.compile import CheckedScenario
from harness.units import duration_literal

RATE_MOST_PER_S: Final = 10_000
"""The highest rate that a fix names."""


def suggest_length(checked: CheckedScenario, phase: Phase, needed_ms: float) -> str:
    """What to write so that an empty phase is long enough."""
    name = phase.name.removeprefix("after ")
    if phase.name == "baseline":
        faults = checked.scenario.faults
        if any(fault.at_ms is not None for fault in faults):
            return f"let the first fault begin at {round_up(needed_ms + checked.timeline.guard_ms)}, after its guard"
        return f"write load.baseline: {round_up(needed_ms)}" if faults else "write load.duration"
    load = checked.scenario.load
    by_itself = not load.is_staged and load.replay is None and load.duration_ms is None
    if phase.name.startswith("after ") and by_itself and all(fault.at_ms is None for fault in checked.scenario.faults):
        return f"write load.recovery: {round_up(needed_ms)}"
    if phase.name.startswith("after "):
        return f"leave load after `{name}`: load.recovery, load.duration, or a later `at` of the next fault"
    return f"make `for` of `{name}` longer"


def suggest_load_after(checked: CheckedScenario, phase: Phase, needed_ms: float) -> str:
    """What to write so that the load goes on for `needed_ms` after a fault. The phase is not empty."""
    load, timeline = checked.scenario.load, checked.timeline
    another_follows = phase.end_ms < timeline.duration_ms
    if another_follows and any(fault.at_ms is not None for fault in checked.scenario.faults):
        return suggest_length(checked, phase, needed_ms)
    if another_follows or (not load.is_staged and load.replay is None and load.duration_ms is None):
        return f"write load.recovery: {round_up(needed_ms)}"
    short_ms = needed_ms - phase.seconds * 1000
    if load.duration_ms is not None:
        return f"write load.duration: {round_up(timeline.duration_ms + short_ms)}"
    return f"let the load last {round_up(short_ms)} longer"


def suggest_longer(checked: CheckedScenario, phase: Phase, short_ms: float, grown_ms: float = 0.0) -> str:
    """What to write so that a window grows by `short_ms`. `grown_ms`: by how much other fixes prolong the load."""
    faults = {fault.name: fault for fault in checked.scenario.faults}
    load = checked.scenario.load
    if phase.name in faults:
        if faults[phase.name].every_ms is not None:
            return f"let the load last {round_up(checked.timeline.duration_ms + short_ms)}"
        return f"write `for: {round_up(faults[phase.name].for_ms + short_ms)}` for `{phase.name}`"
    by_itself = not load.is_staged and load.replay is None
    with_at = any(fault.at_ms is not None for fault in checked.scenario.faults)
    if phase.name == "baseline" and faults:
        if with_at:
            return f"let the first fault begin {round_up(short_ms)} later"
        return f"write load.baseline: {round_up(checked.timeline.baseline_ms + short_ms)}"
    if phase.name.startswith("after ") and by_itself and not with_at and load.duration_ms is None:
        return f"write load.recovery: {round_up(checked.timeline.recovery_ms + short_ms)}"
    if phase.name.startswith("after "):
        return suggest_length(checked, phase, short_ms)
    if by_itself:
        grows_alone = load.duration_ms is None and not with_at
        longer_ms = max(short_ms, grown_ms) if grows_alone else short_ms
        return f"write load.duration: {round_up(checked.timeline.duration_ms + longer_ms)}"
    return f"let the load last {round_up(short_ms)} longer"


def rate_that_suffices(needed_ms: Callable[[float], float], rate_per_s: float, has_ms: float) -> int | None:
    """The lowest whole rate above `rate_per_s` at which no more than `has_ms` is needed; None if no rate is enough.

    `needed_ms` says how long a window must be at a rate; it never grows with the rate.
    """
    rates = range(math.floor(rate_per_s) + 1, RATE_MOST_PER_S + 1)
    at = bisect_left(rates, True, key=lambda rate: needed_ms(rate) <= has_ms)
    return rates[at] if at < len(rates) else None


def round_up(ms: float) -> str:
    """Rounded up to a whole second (tenths below ten seconds)."""
    return duration_literal(round_up_ms(ms))


def round_up_ms(ms: float) -> float:
    """As `round_up`, in milliseconds."""
    step_ms = 1000.0 if ms >= 10_000 else 100.0
    return math.ceil(round(ms / step_ms, 6)) * step_ms
