"""Fixes for short windows: the `for`, `baseline`, `recovery` or `duration` that is long enough for a gate. Pure."""

from __future__ import annotations

import math

from harness.rundir.phases import Phase
from harness.scenario.planning.compile import CheckedScenario
from harness.units import duration_literal


def suggest_length(checked: CheckedScenario, phase: Phase, needed_ms: float) -> str:
    """What to write so that an empty phase is long enough."""
    name = phase.name.removeprefix("after ")
    if phase.name == "baseline":
        faults = checked.scenario.faults
        if any(fault.at_ms is not None for fault in faults):
            return f"let the first fault begin at {round_up(needed_ms + checked.timeline.guard_ms)}, after its guard"
        return f"write load.baseline: {round_up(needed_ms)}" if faults else "write load.duration"
    if phase.name.startswith("after "):
        return f"leave load after `{name}`: load.recovery, load.duration, or a later `at` of the next fault"
    return f"make `for` of `{name}` longer"


def suggest_longer(checked: CheckedScenario, phase: Phase, short_ms: float) -> str:
    """What to write so that a window grows by `short_ms`."""
    faults = {fault.name: fault for fault in checked.scenario.faults}
    load = checked.scenario.load
    if phase.name in faults:
        if faults[phase.name].every_ms is not None:
            return f"let the load last {round_up(checked.timeline.duration_ms + short_ms)}"
        return f"write `for: {round_up(faults[phase.name].for_ms + short_ms)}` for `{phase.name}`"
    by_itself = not load.stages and load.replay is None
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
        return f"write load.duration: {round_up(checked.timeline.duration_ms + short_ms)}"
    return f"let the load last {round_up(short_ms)} longer"


def round_up(ms: float) -> str:
    """Rounded up to a whole second (tenths below ten seconds)."""
    step_ms = 1000.0 if ms >= 10_000 else 100.0
    return duration_literal(math.ceil(round(ms / step_ms, 6)) * step_ms)
