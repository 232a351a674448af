"""Whether a search is over since no rate could change what its first loads showed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from harness.rundir.searches.capacity import LoadStep
from harness.search.answers.ways_back import ended_twice

LOADS_LEAST: Final = 2
"""Of a curve, before anything is said: one may be bad by chance."""


@dataclass(frozen=True, slots=True)
class Hopeless:
    """How a curve ends that was given up, and why, for people."""

    ended_by: Literal["nothing_holds", "undecided"]
    why: str


def hopeless(steps: Sequence[LoadStep]) -> Hopeless | None:
    """Why it makes no sense to go on with a curve; None if it does.

    Every request of its loads, at two rates or more, was answered with the same HTTP error, which is no want of time;
    or a gate had nothing to judge in any load although requests came; or the service does not start any more.
    """
    if (ended := ended_twice(steps)) is not None:
        return Hopeless("undecided", f"{ended.reason}, twice")
    explored = [step for step in steps if step.purpose == "explore" and step.outcome != "generator"]
    if len(explored) < LOADS_LEAST:
        return None
    rates = sorted({step.rate_per_s for step in explored})
    if len(rates) >= LOADS_LEAST and len({step.failed_alike for step in explored}) == 1 and explored[0].failed_alike:
        at = " and at ".join(f"{rate:g}/s" for rate in rates)
        why = f"every request was answered {explored[0].failed_alike}, at {at}; the log of the service may say why"
        return Hopeless("nothing_holds", why)
    if all(step.nothing_for for step in explored):
        return Hopeless("undecided", explored[-1].nothing_for or "")
    return None
