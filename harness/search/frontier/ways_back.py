"""Whether the service came back after the loads that did not hold, and why a curve is given up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from harness.rundir.searches.frontier import FrontierStep
from harness.search.curve_driver import UNKNOWN

UNMET_LEVELS: Final = 2
"""At so many levels no call met the fault, before anything is said: at one it may be chance."""


@dataclass(frozen=True, slots=True)
class WayBack:
    """The loads without the fault after one that did not hold. `before`: of the service as it was; `after`: since it
    was started anew, empty if it was not. Each has a second one only if the first said nothing."""

    before: tuple[FrontierStep, ...]
    after: tuple[FrontierStep, ...]

    @property
    def needed_restart(self) -> bool:
        """Whether it was not well as it was, and held once it was started anew."""
        return self.before[-1].outcome == "broke" and bool(self.after) and self.after[-1].outcome == "held"

    @property
    def failed(self) -> FrontierStep | None:
        """The load that broke although the service had just been started anew."""
        return self.after[-1] if self.after and self.after[-1].outcome == "broke" else None


def ways_back(steps: Sequence[FrontierStep]) -> list[WayBack]:
    """As `harness.search.curve_driver` runs them: a load that says nothing once more, then a restart, then again."""
    found = []
    for are_returns, group in groupby(steps, key=lambda step: step.purpose == "return"):
        if are_returns:
            returns = tuple(group)
            first = 2 if returns[0].outcome in UNKNOWN else 1
            found.append(WayBack(returns[:first], returns[first:]))
    return found


def given_up(steps: Sequence[FrontierStep]) -> str:
    """Why no further load of a curve would say anything of its levels, for people; empty if one may.

    The service does not hold without the fault even after it was started anew, so each later load would blame the fault
    for that; or no load has met the fault, at two levels.
    """
    failed = [way.failed for way in ways_back(steps) if way.failed is not None]
    failed += [two for one, two in pairwise(steps) if _ended_before(one) and _ended_before(two)]
    if failed:
        return f"the service does not hold without the fault any more ({failed[-1].reason})"
    unmet = [step for step in steps if step.unmet is not None]
    if len({step.level for step in unmet}) < UNMET_LEVELS or any(step.fault_met and not step.unmet for step in steps):
        return ""
    return unmet[-1].unmet or ""


def _ended_before(step: FrontierStep) -> bool:
    """Whether the service ended before this load began, which leaves no run."""
    return step.service_ended is not None and not step.run
