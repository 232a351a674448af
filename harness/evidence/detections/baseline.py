"""Tells detections that a fault caused ("news") from those that also occur without it. Pure.

A source (log or alert) is compared with itself: with its earlier detections of the same upstream that no fault
explains. A log is compared with its last seconds as well, whatever explains them, because a fault that has ended leaves
lines behind. So a line that comes every twelve seconds in any case is no news when it comes once more, and neither is
an alert that was raised earlier and still is. A detection that may have come by chance is not news, and nothing is news
if too little is known about the time before.
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
"""A log is louder with a fault than without if it wrote more than SAME_PACE × (expected lines + 1) lines."""
BY_CHANCE: Final = 0.05
"""If fewer detections than this were to be expected in the window, a single one did not come by chance."""
LAST_S: Final = 5.0
"""Lines that a log wrote in the last seconds before a window may still come from an earlier fault."""
_SETTLED_S: Final = 0.5
"""A log may be read so late: lines seen sooner after a fault's end may have been written while it was active."""
_LEAST_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class BaselineDetections:
    """The detections of one upstream by one source before `begin_ns`."""

    source: Source
    begin_ns: int
    detections: tuple[TimedDetection, ...]
    """Those that no fault explains, since t = 0. If that is too short a time, since the beginning of the warm-up, which
    is avoided because a service may log much while it warms up."""
    texts: frozenset[str]
    """The texts of these detections and of those in the warm-up, without digits."""
    seconds: float
    """For how long the source was observed, without the time in which a fault could explain a detection."""
    enough_s: float
    """For how long it must have been observed to know what it names without a fault."""
    last_lines: int
    """Lines in the last `last_s` seconds before `begin_ns`."""
    last_s: float
    """At most LAST_S, and without the time of an earlier fault."""

    @property
    def is_unknown(self) -> bool:
        """Whether the source was observed too shortly to know what it names without a fault."""
        return self.seconds < self.enough_s

    def news(self, during: Sequence[TimedDetection], seconds: float) -> list[TimedDetection]:
        """Those of `during`, the detections in the `seconds` from `begin_ns` on, that would not have come anyway."""
        if not during or self.is_unknown:
            return []
        share = seconds / max(_LEAST_S, self.seconds)
        is_rare = len({d.since_ns for d in self.detections}) * share < BY_CHANCE
        if self.source == "alert":
            return [d for d in during if d.since_ns >= self.begin_ns] if is_rare else []
        lines = sum(d.lines for d in during)
        if self.last_lines and not _is_louder(lines, self.last_lines * seconds / self.last_s):
            return []
        new_texts = [d for d in during if without_digits(d.text) not in self.texts]
        if _is_louder(lines, sum(d.lines for d in self.detections) * share):
            # lines whose text also came before count only if there are no others
            return new_texts or list(during)
        return new_texts if is_rare else []


def _is_louder(lines: int, expected: float) -> bool:
    """Whether a log wrote more lines than can be expected without the fault."""
    return lines > SAME_PACE * expected + SAME_PACE


def baseline_detections(
    run: Evidence, upstream: str, source: Source, begin_ns: int, *, enough_s: float = 0.0
) -> BaselineDetections:
    """The detections of `upstream` by `source` before `begin_ns`, when a fault came. The run must have recorded some
    (`run.detections`)."""
    assert run.detections is not None
    start_ns = run.t0_ns
    if begin_ns - start_ns < enough_s * NS_PER_S:
        start_ns -= round(run.plan.load.warmup_ms * NS_PER_MS)
    own = [d for d in run.detections.between(0, begin_ns, upstream) if d.source == source]
    unexplained = [d for d in own if not is_explained(run, d)]
    last_ns = _last_ns(run, upstream, begin_ns)
    return BaselineDetections(
        source=source,
        begin_ns=begin_ns,
        detections=tuple(d for d in unexplained if d.t_ns >= start_ns),
        texts=frozenset(without_digits(d.text) for d in unexplained),
        seconds=max(0, begin_ns - start_ns - _explained_ns(run, upstream, start_ns, begin_ns)) / NS_PER_S,
        enough_s=enough_s,
        last_lines=sum(d.lines for d in own if d.t_ns >= last_ns),
        last_s=(begin_ns - last_ns) / NS_PER_S,
    )


def _last_ns(run: Evidence, upstream: str, begin_ns: int) -> int:
    """When the last seconds begin: after an earlier fault, and at least half a second before `begin_ns`."""
    removed_ns = [
        i.removed_ns if i.removed_ns is not None else begin_ns
        for i in run.journalled
        if i.upstream == upstream and i.applied_ns is not None and i.applied_ns < begin_ns
    ]
    settled_ns = max(removed_ns, default=0) + round(_SETTLED_S * NS_PER_S)
    last_ns = max(begin_ns - round(LAST_S * NS_PER_S), settled_ns)
    return min(last_ns, begin_ns - round(_SETTLED_S * NS_PER_S))


def _explained_ns(run: Evidence, upstream: str, start_ns: int, end_ns: int) -> int:
    """For how much of this span a fault could explain a detection; overlaps are counted once."""
    explained_ns, until_ns = 0, start_ns
    for first_ns, last_ns in coverage(run, upstream):
        covered_ns = min(last_ns, end_ns)
        explained_ns += max(0, covered_ns - max(first_ns, until_ns))
        until_ns = max(until_ns, covered_ns)
    return explained_ns
