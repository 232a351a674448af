"""What a service did at each level of a fault that a frontier search tried: its p99, or how long it took to recover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from harness.rundir.searches.frontier import FrontierCurve, FrontierStep
from harness.units import format_exact_duration
from reports.charts.limits import common_limit_ms, p99_limit_ms, recovery_limit_ms
from reports.charts.plot import COLOURS, LABEL_GAP, Amount, LogAmount, LogMs, Plot, Scale

ROOM: Final = 1.2
"""Above the limit of a recovery, for one that did not come."""


def by_level(curves: Sequence[FrontierCurve], label: str) -> Markup | None:
    """One line for each curve, all of one kind; None if no load of them can be drawn.

    Up: the p99 of each load, or for an outage how long the service took to recover. A load in which the request at that
    rank failed, or after which it did not recover, is drawn at the top. The gate's limit is a line across, unless it
    differs from curve to curve.
    """
    in_percent = curves[0].unit != "ms"
    lines = {
        curve.upstream: [
            ((step.level or 0.0) * (100 if in_percent else 1), _figure_ms(curve, step)) for step in _drawn(curve)
        ]
        for curve in curves
    }
    levels = [level for line in lines.values() for level, _ in line]
    if not levels:
        return None
    limit_ms = _limit_ms(curves)
    known = [figure for line in lines.values() for _, figure in line if figure is not None]
    up = _Upwards.of([*known, *([limit_ms] if limit_ms else [])], recovery=curves[0].kind == "outage")
    x: Scale = LogAmount.around(levels, " %") if in_percent else LogMs.around(levels)
    plot = Plot(label, x, up.scale, css="rates", right_ch=max(len(curve.upstream) for curve in curves) + 1)
    if limit_ms:
        plot.level(limit_ms / up.unit_ms, "limit", format_exact_duration(limit_ms))
    ends = []
    for number, (name, line) in enumerate(lines.items()):
        drawn = [(level, up.top if figure is None else figure / up.unit_ms) for level, figure in line]
        css = f"c{number % COLOURS}"
        plot.line(drawn, css)
        if drawn:
            ends.append((drawn[-1][1], name, css))
    plot.ends(ends, LABEL_GAP)
    return plot.render()


@dataclass(frozen=True, slots=True)
class _Upwards:
    """The axis upwards. A recovery may take no time at all, so its axis is linear, in seconds."""

    scale: Scale
    top: float
    unit_ms: float

    @classmethod
    def of(cls, figures_ms: Sequence[float], *, recovery: bool) -> _Upwards:
        if recovery:
            seconds = Amount.up_to((ROOM * figure / 1000 for figure in figures_ms), " s")
            return cls(seconds, seconds.high, 1000.0)
        log = LogMs.around(figures_ms)
        return cls(log, log.high_ms, 1.0)


def _drawn(curve: FrontierCurve) -> list[FrontierStep]:
    """The loads with the fault that say something, in order of their level: of several at one level the longest."""
    best: dict[float, FrontierStep] = {}
    for step in curve.steps:
        if step.level is not None and step.n and _says_something(curve, step):
            before = best.get(step.level)
            best[step.level] = step if before is None or step.seconds >= before.seconds else before
    return [best[level] for level in sorted(best)]


def _says_something(curve: FrontierCurve, step: FrontierStep) -> bool:
    """Whether its figure is one of the service at this level. That of an outage is its gate's, which must be decided; a
    p99 was measured, whether or not the gate on it is decided."""
    if step.outcome == "undecided":
        return curve.kind != "outage" and step.unmet is None
    return step.outcome != "generator"


def _figure_ms(curve: FrontierCurve, step: FrontierStep) -> float | None:
    """What is drawn of a load; None: it is beyond everything."""
    if curve.kind != "outage":
        return step.p99_ms
    return step.gates[0].observed if step.gates else None


def _limit_ms(curves: Sequence[FrontierCurve]) -> float | None:
    """The limit on p99, or on the recovery from outages, in the loads with the fault; None if curves differ in it."""
    limit_of = recovery_limit_ms if curves[0].kind == "outage" else p99_limit_ms
    return common_limit_ms(
        limit_of(gate for step in drawn for gate in step.gates) for drawn in map(_drawn, curves) if drawn
    )
