"""The search for the highest rate that a service carries: which load comes next, given how the loads before it ended.

Pure: a generator that yields the load it wants and is sent how that load ended. So a search can be tested against a
simulated service, and one that was interrupted goes on by being sent the recorded answers again.

Explorative loads only steer. They are short, are judged by their point estimate and certify nothing; the same error
split over nine of them would need loads of a minute each. Rates ascend by `ASCENT` from the first one until one breaks
(or descend until one holds), then the bracket is halved geometrically until its ends differ by at most `within`. Fresh
loads decide afterwards: a soak at the best rate is the certificate of a PASS at the error alpha. If it does not pass,
the next lower rate that held is soaked at alpha ÷ 2, then the next at alpha ÷ 4. One load at the lowest rate that broke
is the certificate of a FAIL; if it does not fail, a higher one that broke is tried.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final, Literal

ASCENT: Final = 1.8
"""Four steps cover a decade."""
EXPLORED_MOST: Final = 9
"""Explorative loads of one curve, without those that are repeated."""
SOAKS_MOST: Final = 3
REFUTED_MOST: Final = 3
LEAST_PER_S: Final = 1.0
"""A service that breaks at one request a second carries nothing."""
REPEATS: Final = 2
"""How often an undecided load is run, all of them pooled."""

Purpose = Literal["explore", "soak", "refute"]
Outcome = Literal["held", "broke", "undecided", "generator"]
"""`generator`: the load generator or the machine gave out first, so nothing is known of the service at this rate."""
EndedBy = Literal["bracket", "to", "generator", "nothing_holds", "undecided"]


@dataclass(frozen=True, slots=True)
class WantedLoad:
    """A load that the search wants. `alpha`: the error that its certificate may have; None: it only steers.

    `pooled`: how many loads before it, at this rate and for this purpose, are judged together with it.
    """

    purpose: Purpose
    rate_per_s: float
    alpha: float | None = None
    pooled: int = 0


@dataclass(frozen=True, slots=True)
class Bracket:
    """What a search found. Rates are in requests a second; None: there is no such certificate.

    `explored_held` and `explored_broke` are what the explorative loads showed, the rates that steer and prove nothing.
    """

    certified_per_s: float | None
    refuted_per_s: float | None
    ended_by: EndedBy
    explored_held: tuple[float, ...]
    explored_broke: tuple[float, ...]
    undecided: tuple[float, ...]
    not_monotone: bool = False
    """A rate was refuted below one that was certified."""

    @property
    def at_least(self) -> bool:
        """Whether the capacity may be higher than anything that was tried."""
        return self.ended_by in ("to", "generator")


@dataclass(slots=True)
class _Seen:
    held: set[float] = field(default_factory=set)
    broke: set[float] = field(default_factory=set)
    undecided: set[float] = field(default_factory=set)
    generator: set[float] = field(default_factory=set)

    @property
    def low(self) -> float | None:
        """The highest rate that held below every rate that broke."""
        ceiling = min(self.broke, default=math.inf)
        return max((rate for rate in self.held if rate < ceiling), default=None)

    @property
    def high(self) -> float | None:
        return min(self.broke | self.undecided | self.generator, default=None)


Search = Generator[WantedLoad, Outcome, Bracket]


def search_rate(first_per_s: float, to_per_s: float | None, *, within: float, alpha: float) -> Search:
    """Search from `first_per_s`, never above `to_per_s`, until the bracket is at most `within` wide (0.1 is 10 %)."""
    seen = _Seen()
    ended_by = yield from _explore(seen, first_per_s, to_per_s, within)
    certified = yield from _certify(seen, alpha)
    refuted = yield from _refute(seen, alpha)
    refuted_soaks = [rate for rate in seen.broke if certified is not None and rate <= certified]
    lowest = min((rate for rate in (refuted, *refuted_soaks) if rate is not None), default=None)
    return Bracket(
        certified_per_s=certified,
        refuted_per_s=refuted,
        ended_by=_ended_by(ended_by, certified, refuted),
        explored_held=tuple(sorted(seen.held)),
        explored_broke=tuple(sorted(seen.broke)),
        undecided=tuple(sorted(seen.undecided)),
        not_monotone=certified is not None and lowest is not None and lowest <= certified,
    )


def _ended_by(explored: EndedBy, certified: float | None, refuted: float | None) -> EndedBy:
    if explored != "bracket":
        return explored
    return "bracket" if certified is not None and refuted is not None else "undecided"


def _explore(
    seen: _Seen, first_per_s: float, to_per_s: float | None, within: float
) -> Generator[WantedLoad, Outcome, EndedBy]:
    rate = first_per_s if to_per_s is None else min(first_per_s, to_per_s)
    for _ in range(EXPLORED_MOST):
        yield from _try(seen, rate)
        low, high = seen.low, seen.high
        if low is None:
            lowest = min(seen.broke | seen.undecided | seen.generator)
            if lowest <= LEAST_PER_S:
                return "nothing_holds"
            rate = max(LEAST_PER_S, _rounded(lowest / ASCENT))
        elif high is None:
            if to_per_s is not None and low >= to_per_s:
                return "to"
            rate = _rounded(low * ASCENT) if to_per_s is None else min(to_per_s, _rounded(low * ASCENT))
        else:
            middle = _rounded(math.sqrt(low * high))
            if high / low <= 1 + within or not low < middle < high:
                break
            rate = middle
    if seen.low is None:
        return "nothing_holds"
    if seen.high is None:
        return "to"  # the loads are used up and every one held
    return "generator" if seen.high in seen.generator else "bracket"


def _try(seen: _Seen, rate_per_s: float) -> Generator[WantedLoad, Outcome, None]:
    for pooled in range(REPEATS):
        outcome = yield WantedLoad("explore", rate_per_s, pooled=pooled)
        if outcome != "undecided":
            {"held": seen.held, "broke": seen.broke, "generator": seen.generator}[outcome].add(rate_per_s)
            return
    seen.undecided.add(rate_per_s)


def _certify(seen: _Seen, alpha: float) -> Generator[WantedLoad, Outcome, float | None]:
    """The highest rate whose soak passes; None if none of those tried did."""
    ceiling = min(seen.broke, default=math.inf)
    rates = sorted((rate for rate in seen.held if rate < ceiling), reverse=True)
    for tried, rate in enumerate(rates[:SOAKS_MOST]):
        outcome = yield WantedLoad("soak", rate, alpha=alpha / 2**tried)
        if outcome == "held":
            return rate
        if outcome == "broke":
            seen.broke.add(rate)
            seen.held.discard(rate)
    return None


def _refute(seen: _Seen, alpha: float) -> Generator[WantedLoad, Outcome, float | None]:
    """The lowest rate that broke and is shown to; None if none of those tried is.

    An explorative load may break by chance a little below what the service carries. Then the lowest rate is not shown
    to fail; one in the middle is tried, and the highest at last, which is the surest to fail.
    """
    rates = sorted(seen.broke)
    candidates = dict.fromkeys((*rates[:1], *rates[len(rates) // 2 : len(rates) // 2 + 1], *rates[-1:]))
    for tried, rate in enumerate(candidates):
        outcome = yield WantedLoad("refute", rate, alpha=alpha / 2**tried)
        if outcome == "broke":
            return rate
    return None


def _rounded(rate_per_s: float) -> float:
    """Three digits: rates are for people, and finer ones cannot be told apart."""
    return float(f"{rate_per_s:.3g}")


def loads_most() -> int:
    """How many loads one curve takes at most."""
    return EXPLORED_MOST * REPEATS + SOAKS_MOST + REFUTED_MOST
