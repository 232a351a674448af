"""How long the search of one curve takes, before and while it runs: it is run against services that are made up. Pure.

`longest_ms` is the worst of all ways that a search can go if no load has to be repeated and the service always comes
back: its explorative loads hold or break in whatever order, no soak passes, the last load that could refute does, and
at the end of each load requests are open for as long as the drain allows. `usual_ms` is the median over services whose
limit lies up to a decade below or above the first level. What a load shows of a limit differs by chance, so that some
certificates take a second load, as those of real services do.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from harness.search.level_search import SOAKS_MOST, LevelScale, Outcome, WantedLoad, search_levels
from harness.units import format_duration

BESIDE_LOAD_MS: Final = 2_000.0
"""What a load costs beside its arrivals and a queue that it leaves: its directory, its workers, its last requests and
its judging (docs/benchmarks.md)."""
STACK_MS: Final = 15_000.0
"""Starting and ending a stack."""
_DECADE: Final = 10.0
_LIMITS_PER_DECADE: Final = 30
_LIMIT_SPREAD: Final = 0.1
"""The standard deviation, relative, of the limit that one load shows."""

_Loads = list[tuple[WantedLoad, Outcome]]


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """What decides how long a search over `scale` takes. Times are in ms of wall clock.

    `sent_ms`: how long a load sends requests; `return_ms`, `health_ms`: the load after one that broke, and the one
    before the search (0: there is none). `drain_ms`: how long requests may be open after the last arrival; `open_ms`:
    how long those of a load that broke are, at a service that holds up to a limit. `returns_after`: the outcomes after
    which the service must come back. `returns_at_once`: it must from the first load on; else once a load has held.
    """

    scale: LevelScale
    within: float
    alpha: float
    sent_ms: Callable[[WantedLoad], float]
    open_ms: Callable[[WantedLoad, float], float]
    drain_ms: float
    return_ms: float
    health_ms: float = 0.0
    returns_after: tuple[Outcome, ...] = ("broke",)
    returns_at_once: bool = False

    def longest_ms(self, answered: Sequence[Outcome] | None = None) -> float:
        """At most, from the load on that follows these answers; None: with what comes before the search."""
        if answered is None:
            return self._beside(self.health_ms, self.drain_ms) + self.longest_ms(())
        longest_ms, path = 0.0, list[Outcome]()
        while True:
            for broken in range(SOAKS_MOST + 1):
                loads = self._run(_uncertified(path, broken), answered)
                if loads and loads[-1][0].purpose == "refute":
                    loads[-1] = (loads[-1][0], "broke")  # which it may as well do, and then the service must come back
                longest_ms = max(longest_ms, self._ms(loads, None, has_held="held" in answered))
            path = [outcome for load, outcome in loads if load.purpose == "explore"]
            while path and path[-1] == "broke":
                path.pop()
            if not path:
                return longest_ms
            path[-1] = "broke"

    def longest_return_ms(self) -> float:
        """At most, of one load after one that broke."""
        return self._beside(self.return_ms, self.drain_ms)

    def usual_ms(self) -> float:
        """The median over services with limits around the first level, each as likely as the others."""
        powers = [number / _LIMITS_PER_DECADE for number in range(-_LIMITS_PER_DECADE, _LIMITS_PER_DECADE + 1)]
        each_ms = [self._of_service_ms(self.scale.begin * _DECADE**power, Random(power)) for power in powers]
        return self._beside(self.health_ms, 0.0) + statistics.median(each_ms)

    def _of_service_ms(self, limit: float, chance: Random) -> float:
        def answer(load: WantedLoad) -> Outcome:
            return "held" if load.level <= limit * math.exp(chance.gauss(0.0, _LIMIT_SPREAD)) else "broke"

        return self._ms(self._run(answer, ()), limit, has_held=False)

    def _run(self, answer: Callable[[WantedLoad], Outcome], answered: Sequence[Outcome]) -> _Loads:
        """The loads of a search after those that are `answered`, with their outcomes."""
        search = search_levels(self.scale, within=self.within, alpha=self.alpha)
        given, loads = iter(answered), _Loads()
        wanted = next(search)
        while True:
            outcome = next(given, None)
            if outcome is None:
                outcome = answer(wanted)
                loads.append((wanted, outcome))
            try:
                wanted = search.send(outcome)
            except StopIteration:
                return loads

    def _ms(self, loads: _Loads, limit: float | None, *, has_held: bool) -> float:
        """`limit`: of the service; None: it is unknown, so requests are open as long as they can be."""
        total_ms = 0.0
        for load, outcome in loads:
            broke, has_held = outcome == "broke", has_held or outcome == "held"
            of_limit_ms = min(self.drain_ms, self.open_ms(load, limit)) if limit is not None and broke else 0.0
            total_ms += self._beside(self.sent_ms(load), self.drain_ms if limit is None else of_limit_ms)
            if outcome in self.returns_after and (has_held or self.returns_at_once):
                total_ms += self._beside(self.return_ms, self.drain_ms if limit is None else 0.0)
        return total_ms

    def _beside(self, sent_ms: float, open_ms: float) -> float:
        return sent_ms + open_ms + BESIDE_LOAD_MS if sent_ms else 0.0


def _uncertified(path: Sequence[Outcome], broken: int) -> Callable[[WantedLoad], Outcome]:
    """The answers of a service of which nothing is certified at once. `path`: how its explorative loads end; those
    after it hold. `broken`: how many soaks break, the highest ones, since what they break at may be refuted later."""
    explored = iter(path)
    soaks: Iterator[Outcome] = iter(["broke"] * broken)

    def answer(load: WantedLoad) -> Outcome:
        if load.purpose == "explore":
            return next(explored, "held")
        return next(soaks, "undecided") if load.purpose == "soak" else "undecided"

    return answer


def times_text(usual_ms: float, longest_ms: float) -> str:
    """`usually about 12m, at most 31m`."""
    return f"usually about {format_duration(usual_ms)}, at most {format_duration(longest_ms)}"
