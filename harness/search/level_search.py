"""The search for the highest level at which every gate holds: which load comes next, given how those before it ended.

A level is a magnitude of which more is worse: a rate of requests, the delay of an upstream, the share of its calls that
fail, the length of its outage. A `LevelScale` says where its search begins and between which ends it stays.

Pure: a generator that yields the load it wants and is sent how that load ended. So a search can be tested against a
simulated service, and one that was interrupted goes on by being sent the recorded answers again.

Explorative loads only steer. They are short, are judged by their point estimate and certify nothing; the same error
split over nine of them would need loads of a minute each. Levels ascend by the scale's factor from the first one until
one breaks (or descend until one holds), then the bracket is halved geometrically until its ends differ by at most
`within`. Fresh loads decide afterwards: a soak at the best level is the certificate of a PASS at the error alpha. If it
does not pass, the next lower level that held is soaked at alpha ÷ 2, then the next at alpha ÷ 4. One load at the lowest
level that broke is the certificate of a FAIL; if it does not fail, a higher one that broke is tried. A load in which
the load generator or the machine gave out is run once more.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

EXPLORED_MOST: Final = 9
"""Explorative loads of one curve up to a decade from its first level, without those that are repeated."""
FAR_MOST: Final = 4
"""So many more where levels a decade or more from the first are tried."""
_DECADE: Final = 10.0
SOAKS_MOST: Final = 3
REFUTED_MOST: Final = 3
RATES_ASCENT: Final = 1.8
"""Four steps cover a decade."""
LEAST_PER_S: Final = 1.0
"""A service that breaks at one request a second carries nothing."""
REPEATS: Final = 2
"""How often an undecided load is run, all of them pooled."""

Purpose = Literal["explore", "soak", "refute"]
Outcome = Literal["held", "broke", "undecided", "generator"]
"""`generator`: the load generator or the machine gave out first, so nothing is known of the service at this level."""
EndedBy = Literal["bracket", "to", "generator", "nothing_holds", "undecided"]


@dataclass(frozen=True, slots=True)
class LevelScale:
    """The levels of one search, in a unit of their own. `most`: its hard end; None: it has none.

    A service that breaks at `least` holds at no level. `ascent`: the factor from one level to the next as long as none
    has broken, or none has held; `far_ascent`: from a decade above the first on; None: the same. `generator_ends`: a
    higher level asks more of the load generator, so a level at which that gave out is an end of the search; else such a
    level is undecided.
    """

    first: float
    least: float
    most: float | None
    ascent: float
    generator_ends: bool = False
    far_ascent: float | None = None

    @classmethod
    def of_rates(cls, first_per_s: float, to_per_s: float | None) -> LevelScale:
        """Requests a second, from `first_per_s` and never above `to_per_s`."""
        return cls(first_per_s, LEAST_PER_S, to_per_s, RATES_ASCENT, generator_ends=True, far_ascent=RATES_ASCENT**2)

    @property
    def begin(self) -> float:
        """The first level that is tried."""
        return self.first if self.most is None else min(self.first, self.most)

    def above(self, level: float) -> float:
        is_far = level >= _DECADE * self.begin
        higher = _rounded(level * (self.far_ascent if self.far_ascent and is_far else self.ascent))
        return higher if self.most is None else min(self.most, higher)

    def is_far(self, level: float) -> bool:
        """Whether it is a decade or more from the first level."""
        return not self.begin / _DECADE < level < self.begin * _DECADE

    def below(self, level: float, broken: int = 1) -> float:
        """The next level where `broken` have broken and none has held: each step is longer than the one before, so that
        the least level is reached from wherever a search began."""
        return max(self.least, _rounded(level / self.ascent**broken))


@dataclass(frozen=True, slots=True)
class WantedLoad:
    """A load that the search wants. `alpha`: the error that its certificate may have; None: it only steers.

    `pooled`: how many loads before it, at this level and for this purpose, are judged together with it.
    """

    purpose: Purpose
    level: float
    alpha: float | None = None
    pooled: int = 0

    @property
    def rate_per_s(self) -> float:
        """The level of a search over rates."""
        return self.level


@dataclass(frozen=True, slots=True)
class Bracket:
    """What a search found, in the unit of its levels; None: there is no such certificate.

    `explored_held` and `explored_broke` are what the explorative loads showed, the levels that steer and prove nothing.
    """

    certified: float | None
    refuted: float | None
    ended_by: EndedBy
    explored_held: tuple[float, ...]
    explored_broke: tuple[float, ...]
    undecided: tuple[float, ...]
    not_monotone: bool = False
    """A level was refuted below one that was certified."""

    @property
    def at_least(self) -> bool:
        """Whether the service may hold at a higher level than any that was tried."""
        return self.ended_by in ("to", "generator")


@dataclass(slots=True)
class _Seen:
    held: set[float] = field(default_factory=set)
    broke: set[float] = field(default_factory=set)
    undecided: set[float] = field(default_factory=set)
    generator: set[float] = field(default_factory=set)

    @property
    def low(self) -> float | None:
        """The highest level that held below every level that broke."""
        ceiling = min(self.broke, default=math.inf)
        return max((level for level in self.held if level < ceiling), default=None)

    @property
    def high(self) -> float | None:
        return min(self.broke | self.undecided | self.generator, default=None)


Search = Generator[WantedLoad, Outcome, Bracket]


def search_levels(scale: LevelScale, *, within: float, alpha: float) -> Search:
    """Search the levels of `scale` until the bracket is at most `within` wide (0.1 is 10 %)."""
    seen = _Seen()
    explored = yield from _explore(seen, scale, within)
    soaked = _soaked_levels(seen, scale, within)
    certified, missed = yield from _certify(seen, soaked, alpha)
    refuted = yield from _refute(_refuted_levels(seen, scale, within), alpha)
    refuted_soaks = [level for level in seen.broke if certified is not None and level <= certified]
    lowest = min((level for level in (refuted, *refuted_soaks) if level is not None), default=None)
    return Bracket(
        certified=certified,
        refuted=refuted,
        ended_by=_ended_by(explored, scale, missed, certified, refuted),
        explored_held=tuple(sorted(seen.held)),
        explored_broke=tuple(sorted(seen.broke)),
        undecided=tuple(sorted(seen.undecided)),
        not_monotone=certified is not None and lowest is not None and lowest <= certified,
    )


def _ended_by(
    explored: EndedBy, scale: LevelScale, missed: Sequence[Outcome], certified: float | None, refuted: float | None
) -> EndedBy:
    """`explored`: how the explorative loads ended, which prove nothing by themselves; `missed`: how the soaks above the
    certified level did."""
    if certified is not None and refuted is not None:
        return "bracket"  # also where every explorative load held, and a soak broke
    if explored == "nothing_holds":
        return "nothing_holds" if refuted is not None and refuted <= scale.least else "undecided"
    if explored not in ("to", "generator") or any(outcome != "generator" for outcome in missed):
        return "undecided"
    if not missed:
        return explored
    return "generator" if scale.generator_ends else "undecided"


def _explore(seen: _Seen, scale: LevelScale, within: float) -> Generator[WantedLoad, Outcome, EndedBy]:
    level, explored, far = scale.begin, 0, 0
    while explored < EXPLORED_MOST + min(FAR_MOST, far):
        explored, far = explored + 1, far + scale.is_far(level)
        yield from _try(seen, level, scale)
        low, high = seen.low, seen.high
        if low is None:
            lowest = min(seen.broke | seen.undecided | seen.generator)
            if lowest <= scale.least:
                return _ended_at_least(seen, lowest)
            level = scale.below(lowest, len(seen.broke | seen.undecided | seen.generator))
        elif high is None:
            if scale.most is not None and low >= scale.most:
                return "to"
            level = scale.above(low)
        else:
            middle = _rounded(math.sqrt(low * high))
            if high / low <= 1 + within or not low < middle < high:
                break
            level = middle
    if seen.low is None:
        return "undecided"  # the loads are used up above the least level
    if seen.high is None:
        return "to"  # the loads are used up and every one held
    return "generator" if seen.high in seen.generator else "bracket"


def _ended_at_least(seen: _Seen, level: float) -> EndedBy:
    """Why a search ends at the least level, where nothing has held."""
    if level in seen.broke:
        return "nothing_holds"
    return "generator" if level in seen.generator else "undecided"


def _try(seen: _Seen, level: float, scale: LevelScale) -> Generator[WantedLoad, Outcome, None]:
    for pooled in range(REPEATS):
        outcome = yield from _asked(WantedLoad("explore", level, pooled=pooled))
        if outcome == "generator" and not scale.generator_ends:
            outcome = "undecided"
        if outcome != "undecided":
            {"held": seen.held, "broke": seen.broke, "generator": seen.generator}[outcome].add(level)
            return
    seen.undecided.add(level)


def _asked(load: WantedLoad) -> Generator[WantedLoad, Outcome, Outcome]:
    """How the load ended. Where the load generator or the machine gave out it is run once more, since what took the
    cores may be over."""
    outcome = yield load
    if outcome == "generator":
        outcome = yield load
    return outcome


def _soaked_levels(seen: _Seen, scale: LevelScale, within: float) -> list[float]:
    """The levels to soak, one after another until one passes: those that held, from the highest down, then lower ones,
    since the lowest may have held by chance."""
    ceiling = min(seen.broke, default=math.inf)
    levels = sorted((level for level in seen.held if level < ceiling), reverse=True)[:SOAKS_MOST]
    for step in range(1, SOAKS_MOST + 1 - len(levels)):
        lower = _rounded(levels[-1] / (1 + within) ** step) if levels else 0.0
        if lower >= scale.least:
            levels.append(lower)
    return levels


def _certify(
    seen: _Seen, levels: Sequence[float], alpha: float
) -> Generator[WantedLoad, Outcome, tuple[float | None, list[Outcome]]]:
    """The highest of the levels whose soak passes, None if none did; and how the soaks of those above it ended."""
    missed: list[Outcome] = []
    for tried, level in enumerate(levels):
        outcome = yield from _asked(WantedLoad("soak", level, alpha=alpha / 2**tried))
        if outcome == "held":
            return level, missed
        missed.append(outcome)
        if outcome == "broke":
            seen.broke.add(level)
            seen.held.discard(level)
    return None, missed


def _refuted_levels(seen: _Seen, scale: LevelScale, within: float) -> list[float]:
    """The levels to refute, one after another until one fails: the lowest, the middle and the highest of those that
    broke, then higher ones.

    An explorative load may break by chance a little below what the service carries, and just above it a certificate is
    too short to show that the gate fails. A higher level is the surer to fail.
    """
    broke = sorted(seen.broke)
    levels = list(dict.fromkeys((*broke[:1], *broke[len(broke) // 2 : len(broke) // 2 + 1], *broke[-1:])))
    for step in range(1, REFUTED_MOST + 1 - len(levels)):
        higher = _rounded(broke[-1] * (1 + within) ** step) if broke else math.inf
        if math.isfinite(higher) and (scale.most is None or higher <= scale.most):
            levels.append(higher)
    return levels


def _refute(levels: Sequence[float], alpha: float) -> Generator[WantedLoad, Outcome, float | None]:
    """The lowest of the levels that is shown to fail; None if none of them is."""
    for tried, level in enumerate(levels):
        outcome = yield from _asked(WantedLoad("refute", level, alpha=alpha / 2**tried))
        if outcome == "broke":
            return level
    return None


def _rounded(level: float) -> float:
    """Three digits: levels are for people, and finer ones cannot be told apart."""
    return float(f"{level:.3g}")


def loads_most() -> int:
    """How many loads one curve takes at most; each may be run once more."""
    return 2 * ((EXPLORED_MOST + FAR_MOST) * REPEATS + SOAKS_MOST + REFUTED_MOST)
