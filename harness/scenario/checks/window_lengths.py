"""How long each window of a scenario must be for its gates, and how long the load lasts with all of that. Pure.

A fix that prolongs one window moves what comes after it. `WantedLengths` has the lengths with every fix applied, so
that a scenario in which `load.duration` is written is not refused again because the load now ends too early.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from harness.rundir.phases import Phase
from harness.rundir.plan import Plan
from harness.scenario.planning.compile import CheckedScenario
from harness.scenario.planning.timeline import COMFORT, decided_ms, lowest_rate_per_s
from harness.units import duration_literal

AFTER_TAIL_MS: Final = 5_000.0
"""How long the window of a fault must go on beside the time for which it holds requests."""


def judged_ms(checked: CheckedScenario, phase: str, *, comfort: float = COMFORT) -> float:
    """As `decided_ms`, for every gate on this phase; 0 if there is none."""
    gates = (located.gate for located in checked.gates if phase in located.gate.phases())
    return max((decided_ms(checked.scenario, gate, comfort=comfort) for gate in gates), default=0.0)


@dataclass(frozen=True, slots=True)
class WantedLengths:
    """The lengths with every fix applied; a window that is long enough keeps its own. `load_ms`: of the whole load."""

    for_ms: Mapping[str, float]
    baseline_ms: float
    recovery_ms: float
    load_ms: float


def wanted_lengths(checked: CheckedScenario, plan: Plan, phases: Mapping[str, Phase]) -> WantedLengths:
    timeline, faults = checked.timeline, checked.scenario.faults
    for_ms = {}
    for fault in plan.faults:
        written = next(each for each in faults if each.name == fault.name)
        wanted_ms = fault.held_ms + max(AFTER_TAIL_MS, judged_ms(checked, fault.name))
        is_short = written.every_ms is None and wanted_ms > written.for_ms
        for_ms[fault.name] = round_up_ms(wanted_ms) if is_short else written.for_ms
    lacks_ms = judged_ms(checked, "baseline") - phases["baseline"].seconds * 1000
    baseline_ms = round_up_ms(timeline.baseline_ms + lacks_ms) if lacks_ms > 0 else timeline.baseline_ms
    after_ms = {fault.name: _after_ms(checked, fault.name) for fault in plan.faults}
    recovery_ms = max(timeline.recovery_ms, *after_ms.values(), 0.0)
    end_ms = _end_ms(checked, for_ms, baseline_ms, recovery_ms, after_ms)
    load_ms = max(timeline.duration_ms, end_ms, judged_ms(checked, "whole"))
    return WantedLengths(for_ms, baseline_ms, recovery_ms, load_ms)


def _after_ms(checked: CheckedScenario, fault: str) -> float:
    """How long the load must go on after the fault for the gates on that phase."""
    load = checked.scenario.load
    phase = f"after {fault}"
    own = (located.gate for located in checked.gates if located.gate.phase == phase)
    needed_ms = max((gate.load_needed_after_ms(lowest_rate_per_s(load, gate)) for gate in own), default=0.0)
    wanted_ms = max(needed_ms, judged_ms(checked, phase))
    return round_up_ms(wanted_ms) if wanted_ms else 0.0


def _end_ms(
    checked: CheckedScenario,
    for_ms: Mapping[str, float],
    baseline_ms: float,
    recovery_ms: float,
    after_ms: Mapping[str, float],
) -> float:
    """When the load may end, with these lengths."""
    timeline, faults = checked.timeline, checked.scenario.faults
    placed = [(fault, windows) for fault, windows in zip(faults, timeline.windows, strict=True) if windows]
    ends_ms, begin_ms = [0.0], baseline_ms + timeline.guard_ms
    for fault, windows in placed:
        longer_ms = for_ms.get(fault.name, fault.for_ms) - fault.for_ms
        if fault.at_ms is not None:
            ends_ms.append(windows[-1].remove_ms + longer_ms + after_ms.get(fault.name, 0.0))
            continue
        removed_ms = begin_ms + windows[-1].remove_ms - windows[0].apply_ms + longer_ms
        ends_ms.append(removed_ms + recovery_ms)
        begin_ms = removed_ms + recovery_ms + timeline.guard_ms
    return max(ends_ms)


def round_up(ms: float) -> str:
    """Rounded up to a whole second (tenths below ten seconds)."""
    return duration_literal(round_up_ms(ms))


def round_up_ms(ms: float) -> float:
    """As `round_up`, in milliseconds."""
    step_ms = 1000.0 if ms >= 10_000 else 100.0
    return math.ceil(round(ms / step_ms, 6)) * step_ms
