"""Whether the service came back after the loads that did not hold, by the loads that show that. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Generic

from harness.search.curve_driver import UNKNOWN
from harness.search.curve_rules import Step


@dataclass(frozen=True, slots=True)
class WayBack(Generic[Step]):
    """The loads after one that did not hold. `before`: of the service as it was; `after`: since it was started anew,
    empty if it was not. Each has a second one only if the first said nothing."""

    before: tuple[Step, ...]
    after: tuple[Step, ...]

    @property
    def needed_restart(self) -> bool:
        """Whether it was not well as it was, and held once it was started anew."""
        return self.before[-1].outcome == "broke" and bool(self.after) and self.after[-1].outcome == "held"

    @property
    def failed(self) -> Step | None:
        """The load that broke although the service had just been started anew."""
        return self.after[-1] if self.after and self.after[-1].outcome == "broke" else None


def ways_back(steps: Sequence[Step]) -> list[WayBack[Step]]:
    """As `harness.search.curve_driver` runs them: a load that says nothing once more, then a restart, then again."""
    found = []
    for are_returns, group in groupby(steps, key=lambda step: step.purpose == "return"):
        if are_returns:
            returns = tuple(group)
            first = 2 if returns[0].outcome in UNKNOWN else 1
            found.append(WayBack(returns[:first], returns[first:]))
    return found


def ended_twice(steps: Sequence[Step]) -> Step | None:
    """The second of two loads in a row before which the service ended: it does not start any more."""
    return next((two for one, two in pairwise(steps) if _ended_before(one) and _ended_before(two)), None)


def _ended_before(step: Step) -> bool:
    """Whether the service ended before this load began, which leaves no run."""
    return step.service_ended is not None and not step.run
