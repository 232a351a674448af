"""Is it news that an upstream is named, or was it being said already when that stretch of time began? Pure.

A source is compared with itself: with all that it said of this upstream before, where no fault explains it, and a log
with its last seconds too, whatever explains them, since a fault that is over leaves lines behind. A line that comes
every twelve seconds anyway is no news when it comes once more, and neither is an alert that is still raised from
before. Refuses to call anything news that could have come by chance, or of which nobody knows what was said before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.evidence.detections.recorded import TimedDetection, coverage, is_explained
from harness.rundir.detections import Source, without_digits
from harness.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from harness.evidence.run import Evidence

SAME_PACE: Final = 3.0
"""Up to this many times the lines of before, and three more, a fault has not made a log louder."""
BY_CHANCE: Final = 0.05
"""Named so rarely before that fewer than this many sightings were to be expected during the fault."""
LAST_S: Final = 5.0
"""What a log said so shortly before a window is what an earlier fault left, if one was."""
_SETTLED_S: Final = 0.5
"""A log may be read that late: what is seen sooner after a fault may have been written while it stood."""
_LEAST_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class BaselineDetections:
    """How one source named one upstream before `begin_ns`."""

    source: Source
    begin_ns: int
    sightings: tuple[TimedDetection, ...]
    """Where no fault explains them, since t = 0; where that is not long enough, since the warm-up began: a service that
    is still warming up may say much."""
    texts: frozenset[str]
    """Of these and of the warm-up, without digits."""
    seconds: float
    """So long was listened, without the time in which a fault could explain a sighting."""
    enough_s: float
    """So long must have been listened, or nobody knows what is said anyway."""
    last_lines: int
    last_s: float
    """The last seconds, an earlier fault's own left out."""

    @property
    def is_unknown(self) -> bool:
        return self.seconds < self.enough_s

    def news(self, seen: Sequence[TimedDetection], seconds: float) -> list[TimedDetection]:
        """Of `seen`, what this source said in so many `seconds` from `begin_ns` on, that which is news."""
        if not seen or self.is_unknown:
            return []
        share = seconds / max(_LEAST_S, self.seconds)
        is_rare = len({s.since_ns for s in self.sightings}) * share < BY_CHANCE
        if self.source == "alert":
            return [s for s in seen if s.since_ns >= self.begin_ns] if is_rare else []
        lines = sum(s.lines for s in seen)
        if self.last_lines and not _is_louder(lines, self.last_lines * seconds / self.last_s):
            return []
        fresh = [s for s in seen if without_digits(s.text) not in self.texts]
        if _is_louder(lines, sum(s.lines for s in self.sightings) * share):
            # a line that came before as well is the first only where there is no other
            return fresh or list(seen)
        return fresh if is_rare else []


def _is_louder(lines: int, expected: float) -> bool:
    return lines > SAME_PACE * expected + SAME_PACE


def baseline_detections(
    run: Evidence, upstream: str, source: Source, begin_ns: int, *, enough_s: float = 0.0
) -> BaselineDetections:
    """What was recorded before `begin_ns`, when a fault came."""
    assert run.notices is not None
    start_ns = run.t0_ns
    if begin_ns - start_ns < enough_s * NS_PER_S:
        start_ns -= round(run.plan.load.warmup_ms * NS_PER_MS)
    own = [s for s in run.notices.between(0, begin_ns, upstream) if s.source == source]
    unexplained = [s for s in own if not is_explained(run, s)]
    last_ns = _last_ns(run, upstream, begin_ns)
    return BaselineDetections(
        source=source,
        begin_ns=begin_ns,
        sightings=tuple(s for s in unexplained if s.t_ns >= start_ns),
        texts=frozenset(without_digits(s.text) for s in unexplained),
        seconds=max(0, begin_ns - start_ns - _explained_ns(run, upstream, start_ns, begin_ns)) / NS_PER_S,
        enough_s=enough_s,
        last_lines=sum(s.lines for s in own if s.t_ns >= last_ns),
        last_s=(begin_ns - last_ns) / NS_PER_S,
    )


def _last_ns(run: Evidence, upstream: str, begin_ns: int) -> int:
    """Where the last seconds begin: after an earlier fault, but half a second before the end in any case."""
    over_ns = [
        i.removed_ns if i.removed_ns is not None else begin_ns
        for i in run.journalled
        if i.upstream == upstream and i.applied_ns is not None and i.applied_ns < begin_ns
    ]
    settled_ns = max(over_ns, default=0) + round(_SETTLED_S * NS_PER_S)
    last_ns = max(begin_ns - round(LAST_S * NS_PER_S), settled_ns)
    return min(last_ns, begin_ns - round(_SETTLED_S * NS_PER_S))


def _explained_ns(run: Evidence, upstream: str, start_ns: int, end_ns: int) -> int:
    """For how long of this stretch a fault could explain a sighting; where two of them could, once."""
    explained_ns, until_ns = 0, start_ns
    for first_ns, last_ns in coverage(run, upstream):
        over_ns = min(last_ns, end_ns)
        explained_ns += max(0, over_ns - max(first_ns, until_ns))
        until_ns = max(until_ns, over_ns)
    return explained_ns
