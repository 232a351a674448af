"""Why a curve over the levels of a fault is given up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.rundir.searches.frontier import FrontierStep
from harness.search.answers.ways_back import ended_twice, ways_back

UNMET_LEVELS: Final = 2
"""At so many levels no call met the fault, before anything is said: at one it may be chance."""


def given_up(steps: Sequence[FrontierStep], *, can_restart: bool) -> str:
    """Why no further load of a curve would say anything of its levels, for people; empty if one may.

    The service does not hold without the fault even after it was started anew, so each later load would blame the fault
    for that; or no load has met the fault, at two levels. `can_restart`: else it was not started anew, and somebody may
    have brought it back since.
    """
    failed = [way.failed for way in ways_back(steps) if way.failed is not None] if can_restart else []
    if (ended := ended_twice(steps)) is not None:
        failed.append(ended)
    if failed:
        return f"the service does not hold without the fault any more ({failed[-1].reason})"
    unmet = [step for step in steps if step.unmet is not None]
    if len({step.level for step in unmet}) < UNMET_LEVELS or any(step.fault_met and not step.unmet for step in steps):
        return ""
    return unmet[-1].unmet or ""
