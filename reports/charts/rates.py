"""What a service did at each rate that a search tried: latency, requests in flight, processor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from harness.rundir.searches.capacity import LoadStep, RateCurve
from harness.units import format_exact_duration
from reports.charts.plot import Amount, LogMs, Plot, Scale

COLOURS: Final = 6
_LABEL_GAP: Final = 0.08  # of the height: one line of small print


@dataclass(frozen=True, slots=True)
class LogPerS:
    """Requests a second on a log axis: the same ratio has the same room."""

    low: float
    high: float

    @classmethod
    def around(cls, rates: Iterable[float]) -> LogPerS:
        known = list(rates) or [1.0, 10.0]
        return cls(min(known) * 0.9, max(known) * 1.1)

    def at(self, value: float) -> float:
        share = math.log(max(value, 1e-9) / self.low) / math.log(self.high / self.low)
        return min(1.0, max(0.0, share))

    def ticks(self) -> list[tuple[float, str]]:
        first, last = math.floor(math.log10(self.low)), math.floor(math.log10(self.high))
        spoken = (1, 2, 5) if self.high / self.low < 50 else (1,)
        marks = [(factor * 10.0**power, factor) for power in range(first, last + 1) for factor in range(1, 10)]
        inside = [(value, factor) for value, factor in marks if self.low <= value <= self.high]
        return [(self.at(value), f"{value:g}/s" if factor in spoken else "") for value, factor in inside]


def latency(curves: Sequence[RateCurve], limit_ms: float | None) -> Markup:
    """p99 by rate, a line for each curve; a step whose p99 failed is drawn at the top."""
    steps = [step for curve in curves for step in drawn(curve)]
    known = [step.p99_ms for step in steps if step.p99_ms is not None]
    scale = LogMs.around([*known, *([limit_ms] if limit_ms else [])])
    plot = _plot(curves, "p99 by rate", scale)
    if limit_ms:
        plot.level(limit_ms, "limit", format_exact_duration(limit_ms))
    _lines(plot, curves, lambda step: scale.high_ms if step.p99_ms is None else step.p99_ms)
    return plot.render()


def in_flight(curves: Sequence[RateCurve]) -> Markup:
    """The mean number of open requests by rate. Where the load was stationary it is rate times mean latency."""
    scale = Amount.up_to(step.in_flight_mean for curve in curves for step in drawn(curve))
    plot = _plot(curves, "requests in flight by rate", scale)
    _lines(plot, curves, lambda step: step.in_flight_mean)
    return plot.render()


def cores(curves: Sequence[RateCurve]) -> Markup | None:
    """The cores that the service used by rate; None where they are unknown."""
    known = [step.cpu_cores for curve in curves for step in drawn(curve) if step.cpu_cores is not None]
    if not known:
        return None
    plot = _plot(curves, "cores of the service by rate", Amount.up_to(known))
    _lines(plot, curves, lambda step: math.nan if step.cpu_cores is None else step.cpu_cores)
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
    rates = LogPerS.around(step.rate_per_s for curve in curves for step in drawn(curve))
    return Plot(label, rates, y, css="rates", right_ch=max((len(_name(curve)) for curve in curves), default=0) + 1)


def _lines(plot: Plot, curves: Sequence[RateCurve], value: Callable[[LoadStep], float]) -> None:
    ends = []
    for number, curve in enumerate(curves):
        points = [(step.rate_per_s, value(step)) for step in drawn(curve)]
        css = f"c{number % COLOURS}"
        plot.line(points, css)
        last = next((y for _, y in reversed(points) if not math.isnan(y)), None)
        if last is not None:
            ends.append((last, _name(curve), css))
    plot.ends(ends, _LABEL_GAP)


def _name(curve: RateCurve) -> str:
    return curve.fault or "health"
