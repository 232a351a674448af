"""Is it news that an upstream is named while a fault stands, or was it named as much before? Pure.

What a source said before the fault, with no fault to explain it, is compared with what it says during it: by pace and,
digits aside, by text. A line that comes every twelve seconds anyway is no news when it comes once more, and neither is
an alert that is raised anyway. Refuses to call anything news that could have come by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.evidence.notices import Sighting, is_explained
from harness.notice_record import Source
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.run import Evidence

SAME_PACE: Final = 3.0
"""Up to this many times the lines of before, and three more, a fault has not made a log louder."""
BY_CHANCE: Final = 0.05
"""Named so rarely before that fewer than this many sightings were to be expected during the fault."""
_LEAST_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Before:
    """How one source named an upstream before a fault, where no fault explains it."""

    source: Source
    sightings: tuple[Sighting, ...]
    """Since t = 0; a service that is still warming up may say much."""
    texts: frozenset[str]
    """Without digits; those of the warm-up too."""
    seconds: float
    """Since t = 0, without those in which a fault could explain it."""

    def fresh(self, during: Sequence[Sighting]) -> list[Sighting]:
        """Those whose text is not one of before."""
        return [s for s in during if self.source == "alert" or without_digits(s.text) not in self.texts]

    def explains(self, during: Sequence[Sighting], seconds: float) -> bool:
        """Whether `during`, what this source said in the `seconds` of a fault, is no more than it had said before."""
        if not during:
            return False
        share = seconds / self.seconds
        spells = {s.since_ns for s in self.sightings}
        is_rare = len(spells) * share < BY_CHANCE
        if self.source == "alert":
            return during[0].since_ns in spells or not is_rare
        expected = sum(s.lines for s in self.sightings) * share
        if sum(s.lines for s in during) > SAME_PACE * expected + SAME_PACE:
            return False
        return not (is_rare and self.fresh(during))


def before(run: Evidence, upstream: str, source: Source, applied_ns: int) -> Before:
    """Everything recorded before a fault came, at `applied_ns`."""
    assert run.notices is not None
    seen = [s for s in run.notices.between(0, applied_ns, upstream) if s.source == source and not is_explained(run, s)]
    grace_ns = round(run.plan.load.client_cap_ms * NS_PER_MS)
    explained_ns = sum(
        max(0, min(end_ns + grace_ns, applied_ns) - max(begin_ns, run.t0_ns))
        for begin_ns, end_ns in run.injections(upstream)
    )
    return Before(
        source,
        tuple(s for s in seen if s.t_ns >= run.t0_ns),
        frozenset(without_digits(s.text) for s in seen),
        max(_LEAST_S, (applied_ns - run.t0_ns - explained_ns) / NS_PER_S),
    )


def without_digits(text: str) -> str:
    """Times, counts and ids differ from line to line; that makes no other text."""
    return "".join(letter for letter in text if not letter.isdigit())
