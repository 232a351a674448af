"""Outcomes, load and resources along time: stacked areas and stepped lines under one fault shading."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from markupsafe import Markup

from harness.rundir.rows import Outcome
from harness.units import format_count
from reports.charts.plot import Amount, Plot, Seconds, steps
from reports.formatting import OUTCOME_WORD
from reports.history import Band, History


def outcomes(history: History, bands: Sequence[Band]) -> Markup:
    """Arrivals per second by how they ended, stacked: success at the bottom."""
    edges = history.load_bins.edges_ms.tolist()
    seconds = [(right - left) / 1000 for left, right in itertools.pairwise(edges)]
    rates = [[n / s for n, s in zip(row, seconds, strict=True)] for row in history.outcomes.tolist()]
    total = [sum(column) for column in zip(*rates, strict=True)]
    alt_text = ", ".join(f"{OUTCOME_WORD[kind.name.lower()]} {format_count(n)}" for kind, n in outcome_totals(history))
    plot = _framed(f"Outcomes over time: {alt_text}", history, Amount.up_to(total, "/s"), bands)
    below = [0.0] * len(seconds)
    for kind, _ in outcome_totals(history):
        above = [low + rate for low, rate in zip(below, rates[kind], strict=True)]
        plot.area(steps(edges, above), steps(edges, below), outcome_css(kind))
        below = above
    return plot.render()


def outcome_totals(history: History) -> list[tuple[Outcome, int]]:
    """The outcomes that occurred, in the order of their numbers (ok first)."""
    totals = history.outcomes.sum(axis=1).tolist()
    return [(kind, int(totals[kind])) for kind in Outcome if totals[kind]]


def outcome_css(kind: Outcome) -> str:
    return f"o-{kind.name.lower().replace('_', '-')}"


def throughput(history: History, bands: Sequence[Band]) -> Markup:
    edges = history.load_bins.edges_ms.tolist()
    sent, ok = history.flow.sent_per_s.tolist(), history.flow.ok_per_s.tolist()
    label = f"Sent and successful requests per second; most sent {max(sent):.3g}/s, fewest successes {min(ok):.3g}/s"
    plot = _framed(label, history, Amount.up_to([*sent, *ok], "/s"), bands)
    plot.line(steps(edges, sent), "grey")
    plot.line(steps(edges, ok), "c3")
    return plot.render()


def in_flight(history: History, bands: Sequence[Band]) -> Markup:
    edges = history.load_bins.edges_ms.tolist()
    still_open = [float(n) for n in history.flow.in_flight.tolist()]
    label = f"Requests in flight; at most {format_count(round(max(still_open)))}"
    plot = _framed(label, history, Amount.up_to(still_open), bands)
    plot.area(steps(edges, still_open), steps(edges, [0.0] * len(still_open)), "soft")
    plot.line(steps(edges, still_open), "c1")
    return plot.render()


def measured(
    name: str, points: Sequence[tuple[float, float]], suffix: str, end_ms: float, bands: Sequence[Band]
) -> Markup:
    """One resource of the service: a line through its readings."""
    values = [value for _, value in points]
    label = f"{name} of the service: from {values[0]:,.4g}{suffix} to {max(values):,.4g}{suffix} at most"
    plot = Plot(label, Seconds(0.0, end_ms), Amount.up_to(values, suffix))
    shade(plot, bands)
    plot.line(points, "c1")
    return plot.render()


def _framed(label: str, history: History, y: Amount, bands: Sequence[Band]) -> Plot:
    edges = history.load_bins.edges_ms
    plot = Plot(label, Seconds(float(edges[0]), float(edges[-1])), y)
    shade(plot, bands)
    return plot


def shade(plot: Plot, bands: Sequence[Band]) -> None:
    """Shade the windows of faults."""
    for band in bands:
        plot.span(band.caught_ms, band.end_ms, "band tail")
        plot.span(band.start_ms, band.tail_ms, "band")
