"""Latency by percentile, one line a phase, on the axis that gives every further nine the same room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from harness.rundir.rows import Outcome
from harness.units import NS_PER_MS, format_duration, format_exact_duration
from reports.charts.plot import LogMs, Plot

if TYPE_CHECKING:
    from harness.evidence.joining.row_table import RowTable

MEDIAN_NINES: Final = math.log10(2)
_STEP: Final = 0.04  # of a nine, between two points of a line
_LABEL_GAP: Final = 0.058  # of the height: one line of small print
_MOST_NINES: Final = 4.0

CURVES_MOST: Final = 8
"""With more, the lines cannot be distinguished and their names do not fit beside them."""


@dataclass(frozen=True, slots=True)
class Curve:
    """`points`: (nines, ms, failed) with nines = -log10(1 - p), also of the median; only ranks that the phase has."""

    phase: str
    n: int
    points: tuple[tuple[float, float, bool], ...]


@dataclass(frozen=True, slots=True)
class _Nines:
    high: float

    def at(self, value: float) -> float:
        return min(1.0, max(0.0, value / self.high))

    def ticks(self) -> list[tuple[float, str]]:
        named = ((0, "p0"), (1, "p90"), (2, "p99"), (3, "p99.9"), (4, "p99.99"))
        ticks = [(self.at(nines), word) for nines, word in named if nines <= self.high + 1e-9]
        for whole in range(math.ceil(self.high)):
            minor = [whole - math.log10(1 - share) for share in (0.5, 0.75)]
            ticks.extend((self.at(nines), "") for nines in minor if nines < self.high)
        return ticks


def curve(phase: str, rows: RowTable) -> Curve | None:
    """From the rows of a phase's first requests, by nearest rank. Failures rank after every success, at the time they
    ended."""
    import numpy as np

    n = len(rows)
    if not n:
        return None
    good = rows["outcome"] == Outcome.OK
    ranked = (rows["done_ns"] - rows["intended_ns"]) / NS_PER_MS
    failed_from = int(good.sum())
    if failed_from < n:
        ranked = np.concatenate([ranked[good], ranked[~good]])
    ranked[:failed_from].sort()
    ranked[failed_from:].sort()
    most = min(_MOST_NINES, math.log10(n)) if n > 1 else 0.0
    points = []
    grid = [step * _STEP for step in range(int(most / _STEP) + 1)]
    for nines in sorted([*grid, *([MEDIAN_NINES] if most >= MEDIAN_NINES else [])]):
        rank = max(0, math.ceil(n * (1 - 10.0**-nines) - 1e-9) - 1)
        points.append((nines, float(ranked[rank]), rank >= failed_from))
    points.append((most, float(ranked[-1]), failed_from < n))
    return Curve(phase, n, tuple(points))


def shown(curves: Sequence[Curve]) -> list[Curve]:
    """At most CURVES_MOST: the baseline, then the slowest by their last point, in the given order."""
    slowest = sorted(curves, key=lambda each: (each.phase != "baseline", -each.points[-1][1]))[:CURVES_MOST]
    return [each for each in curves if each in slowest]


def chart(curves: Sequence[Curve], gateway_ms: float | None) -> Markup:
    """Solid where requests succeeded, dotted where the rank is a failed one."""
    values = [ms for each in curves for _, ms, _ in each.points]
    y = LogMs.around([*values, *([gateway_ms] if gateway_ms else [])])
    high = max(1.0, min(3.0, max(each.points[-1][0] for each in curves)))
    label = "Latency by percentile: " + "; ".join(_spoken(each) for each in curves)
    longest = max(len(each.phase) for each in curves)
    plot = Plot(label, _Nines(high), y, css="tall", right_ch=min(20, longest + 2))
    if gateway_ms:
        plot.level(gateway_ms, "limit", f"gateway timeout {format_exact_duration(gateway_ms)}")
    names = []
    colours = colours_of([each.phase for each in curves])
    for each in curves:
        css = colours[each.phase]
        inside = [point for point in each.points if point[0] <= high + 1e-9]
        good = [(nines, ms) for nines, ms, failed in inside if not failed]
        bad = [(nines, ms) for nines, ms, failed in inside if failed]
        if good:
            plot.line(good, css)
        if bad:
            plot.line([*good[-1:], *bad], f"{css} failed")
        names.append((inside[-1][1], each.phase, css))
    plot.ends(names, _LABEL_GAP)
    return plot.render()


def colours_of(phases: Sequence[str]) -> dict[str, str]:
    """A CSS class a phase: the baseline grey, each fault as its upstream's line over time, the others after them."""
    faults = [name for name in phases if name != "baseline" and not name.startswith("after ")]
    rest = [name for name in phases if name.startswith("after ")]
    return {"baseline": "grey"} | {name: f"c{index % 6}" for index, name in enumerate([*faults, *rest])}


def _spoken(each: Curve) -> str:
    p50 = next((ms for nines, ms, _ in each.points if nines >= MEDIAN_NINES), each.points[-1][1])
    return f"{each.phase} from {format_duration(p50)} at the median to {format_duration(each.points[-1][1])} at most"
