"""What a service did at each rate that a search tried: latency, requests in flight, processor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from markupsafe import Markup

from harness.rundir.searches.capacity import LoadStep, RateCurve
from harness.units import format_exact_duration
from reports.charts.plot import COLOURS, LABEL_GAP, Amount, LogAmount, LogMs, Plot, Scale

CERTIFY: Final = frozenset({("soak", "held"), ("refute", "broke")})
"""The purpose and outcome of a load that certifies: it passed a soak, or it was to fail and did."""
FEW_IN_FLIGHT: Final = 0.1
"""A mean number of open requests below this is drawn as this."""


def latency(curves: Sequence[RateCurve], limit_ms: float | None) -> Markup:
    """p99 by rate with its interval, a line for each curve. What failed is at the top, as is an infinite bound."""
    steps = [step for curve in curves for step in drawn(curve)]
    figures = [figure for step in steps for figure in (step.p99_ms, step.p99_low_ms, step.p99_high_ms)]
    known = [figure for figure in figures if figure is not None]
    scale = LogMs.around([*known, *([limit_ms] if limit_ms else [])])
    plot = _plot(curves, "p99 by rate, with its interval", scale)
    if limit_ms:
        plot.level(limit_ms, "limit", f"limit {format_exact_duration(limit_ms)}")
    for step, css in _steps(curves):
        if step.p99_low_ms is not None:
            high_ms = scale.high_ms if step.p99_high_ms is None else step.p99_high_ms
            plot.bar(step.rate_per_s, step.p99_low_ms, high_ms, css)
    _lines(plot, curves, lambda step: scale.high_ms if step.p99_ms is None else step.p99_ms)
    return plot.render()


def in_flight(curves: Sequence[RateCurve]) -> Markup:
    """The mean number of open requests by rate, and rate times mean latency (Little's law) as a dashed line."""
    steps = [step for curve in curves for step in drawn(curve)]
    scale = LogAmount.around(
        (figure for step in steps for figure in (step.in_flight_mean, step.little or step.in_flight_mean)),
        least=FEW_IN_FLIGHT,
    )
    plot = _plot(curves, "requests in flight by rate, and rate times mean latency", scale)
    _lines(plot, curves, lambda step: _or_nan(step.little), dashed=True)
    _lines(plot, curves, lambda step: step.in_flight_mean)
    return plot.render()


def cores(curves: Sequence[RateCurve], machine_cores: int | None) -> Markup | None:
    """The cores that the service used by rate, and those of the load generator as a dashed line; None where neither is
    known. `machine_cores`: how many both may use together."""
    steps = [step for curve in curves for step in drawn(curve)]
    known = [used for step in steps for used in (step.cpu_cores, step.load_cores) if used is not None]
    if not known:
        return None
    shows_machine = machine_cores is not None and max(known) > machine_cores / 2
    scale = Amount.up_to([*known, float(machine_cores or 0) if shows_machine else 0.0])
    plot = _plot(curves, "cores of the service and of the load generator by rate", scale)
    if shows_machine and machine_cores:
        plot.level(machine_cores, "limit", f"{machine_cores} cores")
    _lines(plot, curves, lambda step: _or_nan(step.load_cores), dashed=True)
    _lines(plot, curves, lambda step: _or_nan(step.cpu_cores))
    return plot.render()


def drawn(curve: RateCurve) -> list[LoadStep]:
    """The steps of a curve in order of their rate: of several at one rate the longest, and none of those that only
    looked whether the service came back."""
    best: dict[float, LoadStep] = {}
    for step in curve.steps:
        if step.purpose != "return" and step.n:
            before = best.get(step.rate_per_s)
            best[step.rate_per_s] = step if before is None or step.seconds >= before.seconds else before
    return sorted(best.values(), key=lambda step: step.rate_per_s)


def _plot(curves: Sequence[RateCurve], label: str, y: Scale) -> Plot:
    rates = LogAmount.around((step.rate_per_s for curve in curves for step in drawn(curve)), "/s")
    return Plot(label, rates, y, css="rates", right_ch=max((len(_name(curve)) for curve in curves), default=0) + 1)


def _steps(curves: Sequence[RateCurve]) -> Iterator[tuple[LoadStep, str]]:
    """Every step that is drawn, with the class of its curve."""
    for number, curve in enumerate(curves):
        yield from ((step, f"c{number % COLOURS}") for step in drawn(curve))


def _lines(
    plot: Plot, curves: Sequence[RateCurve], value: Callable[[LoadStep], float], *, dashed: bool = False
) -> None:
    """A line for each curve with a mark at each load, a large one where it certified. `dashed`: the line alone."""
    ends = []
    for number, curve in enumerate(curves):
        points = [(step.rate_per_s, value(step)) for step in drawn(curve)]
        css = f"c{number % COLOURS}"
        plot.line(points, f"{css} dashed" if dashed else css)
        last = next((y for _, y in reversed(points) if not math.isnan(y)), None)
        if last is not None:
            ends.append((last, _name(curve), css))
    if dashed:
        return
    for step, css in _steps(curves):
        if not math.isnan(value(step)):
            certifies = (step.purpose, step.outcome) in CERTIFY
            plot.dot(step.rate_per_s, value(step), f"{css} certified" if certifies else css)
    plot.ends(ends, LABEL_GAP)


def _or_nan(figure: float | None) -> float:
    return math.nan if figure is None else figure


def _name(curve: RateCurve) -> str:
    return curve.fault or "health"
