"""One frame for every server-made chart: scales, grid, paths, and words that keep their size.

The SVG stretches to the width it is given (`preserveAspectRatio="none"`, strokes that do not scale),
so it is as readable on a telephone as in print; axis words and labels are HTML placed in percent.
Colours are CSS classes, so the theme decides. Everything named by others goes through `shown`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from markupsafe import Markup

from harness.units import format_exact_duration
from reports.redacted import shown

COLOURS: Final = 6
"""How many lines have a colour of their own."""
LABEL_GAP: Final = 0.08
"""Of the height: one line of small print."""
_SIDE: Final = 1000  # the SVG's own units a side
_ROUND_S: Final = (0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600)


class Scale(Protocol):
    def at(self, value: float) -> float:
        """0 at the low end, 1 at the high end; clamped."""

    def ticks(self) -> list[tuple[float, str]]:
        """Places (0 to 1) of grid lines, with their words (empty: a line alone)."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Time since t = 0, in ms."""

    start_ms: float
    end_ms: float

    def at(self, value: float) -> float:
        return _clamped((value - self.start_ms) / max(self.end_ms - self.start_ms, 1e-9))

    def ticks(self) -> list[tuple[float, str]]:
        seconds = (self.end_ms - self.start_ms) / 1000
        step = next((step for step in _ROUND_S if seconds / step <= 6), _round_step(seconds, most=6))
        first = math.ceil(self.start_ms / 1000 / step)
        last = math.floor(self.end_ms / 1000 / step)
        return [(self.at(index * step * 1000), f"{index * step:g} s") for index in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class LogMs:
    """Latency on a log axis."""

    low_ms: float
    high_ms: float

    @classmethod
    def around(cls, values_ms: Iterable[float]) -> LogMs:
        """Room for all of them, and at least for one power of ten between the ends."""
        real = [value for value in values_ms if value > 0 and math.isfinite(value)] or [10.0, 1000.0]
        low, high = min(real) * 0.7, max(real) * 1.6
        decade = 10.0 ** math.floor(math.log10(high))
        return cls(min(low, decade * 0.9), high)

    def at(self, value: float) -> float:
        if value <= self.low_ms:
            return 0.0
        return _clamped(math.log10(value / self.low_ms) / math.log10(self.high_ms / self.low_ms))

    def ticks(self) -> list[tuple[float, str]]:
        """Words at the powers of ten, and at 2 and 5 times them where there are few; lines between."""
        first, last = math.floor(math.log10(self.low_ms)), math.floor(math.log10(self.high_ms))
        spoken = (1, 2, 5) if self.high_ms / self.low_ms < 50 else (1,)
        marks = [
            (factor * 10.0**exponent, factor in spoken)
            for exponent in range(first, last + 1)
            for factor in range(1, 10)
        ]
        return [
            (self.at(value), format_exact_duration(value) if named else "")
            for value, named in marks
            if self.low_ms <= value <= self.high_ms
        ]


@dataclass(frozen=True, slots=True)
class Amount:
    """Counts, rates, bytes: linear from zero. `suffix` follows each tick's number."""

    high: float
    suffix: str = ""

    @classmethod
    def up_to(cls, values: Iterable[float], suffix: str = "") -> Amount:
        high = max((value for value in values if math.isfinite(value)), default=0.0) or 1.0
        step = _round_step(high, most=4)
        return cls(math.ceil(high / step - 1e-9) * step, suffix)

    def at(self, value: float) -> float:
        return _clamped(value / self.high)

    def ticks(self) -> list[tuple[float, str]]:
        step = _round_step(self.high, most=4)
        count = math.floor(self.high / step + 1e-9)
        return [(self.at(index * step), f"{index * step:,.6g}{self.suffix}") for index in range(count + 1)]


@dataclass(frozen=True, slots=True)
class LogAmount:
    """Rates, counts, percent on a log axis: the same ratio has the same room. `suffix` follows each tick's number."""

    low: float
    high: float
    suffix: str = ""

    @classmethod
    def around(cls, figures: Iterable[float], suffix: str = "", least: float = 1e-9) -> LogAmount:
        """Room for all of them; those below `least` are at the low end."""
        known = [max(figure, least) for figure in figures] or [1.0, 10.0]
        return cls(min(known) * 0.9, max(known) * 1.1, suffix)

    def at(self, value: float) -> float:
        return _clamped(math.log(max(value, 1e-9) / self.low) / math.log(self.high / self.low))

    def ticks(self) -> list[tuple[float, str]]:
        """Words at the powers of ten, or at 2 and 5 times them too where the range is narrow, with lines between. At
        least two words: where even those are too few, at the multiples of a round step."""
        first, last = math.floor(math.log10(self.low)), math.floor(math.log10(self.high))
        marks = [(factor * 10.0**power, factor) for power in range(first, last + 1) for factor in range(1, 10)]
        inside = [(value, factor) for value, factor in marks if self.low <= value <= self.high]
        for spoken in ((1,), (1, 2, 5)) if self.high / self.low >= 50 else ((1, 2, 5),):
            if sum(factor in spoken for _, factor in inside) > 1:
                return [(self.at(value), self._word(value) if factor in spoken else "") for value, factor in inside]
        step = _round_step(self.high - self.low, most=5)  # at most half the range, so that two multiples are inside
        multiples = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return [(self.at(number * step), self._word(number * step)) for number in multiples]

    def _word(self, value: float) -> str:
        return f"{value:,.6g}{self.suffix}"


@dataclass(slots=True)
class Plot:
    """Draws into a frame; `render` gives the markup. `label` is what a screen reader says."""

    label: str
    x: Scale
    y: Scale
    css: str = ""
    right_ch: int = 0
    """Room at the right for names of lines, in characters."""
    _shapes: list[Markup] = field(default_factory=list)
    _words: list[Markup] = field(default_factory=list)

    def line(self, points: Sequence[tuple[float, float]], css: str) -> None:
        self._shapes.append(Markup('<path class="line {}" d="{}"/>').format(css, self._path(points)))

    def dot(self, x: float, y: float, css: str) -> None:
        """A round mark that keeps its size: a stroke of no length with round ends."""
        at = Markup("M{:.1f} {:.1f}h0").format(self.x.at(x) * _SIDE, (1 - self.y.at(y)) * _SIDE)
        self._shapes.append(Markup('<path class="dot {}" d="{}"/>').format(css, at))

    def bar(self, x: float, low: float, high: float, css: str) -> None:
        """A vertical line from `low` to `high`: an interval."""
        self._shapes.append(Markup('<path class="bar {}" d="{}"/>').format(css, self._path([(x, low), (x, high)])))

    def area(self, upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], css: str) -> None:
        outline = self._path([*upper, *reversed(lower)])
        self._shapes.append(Markup('<path class="area {}" d="{}Z"/>').format(css, outline))

    def span(self, start: float, end: float, css: str) -> None:
        """A vertical band over the whole height."""
        left, right = self.x.at(start) * _SIDE, self.x.at(end) * _SIDE
        shape = Markup('<rect class="{}" x="{:.1f}" width="{:.1f}" height="1000"/>')
        self._shapes.append(shape.format(css, left, right - left))

    def level(self, value: float, css: str, word: str = "") -> None:
        """A horizontal line over the whole width, named at its right end."""
        y = (1 - self.y.at(value)) * _SIDE
        self._shapes.append(Markup('<path class="line {}" d="M0 {:.1f}H1000"/>').format(css, y))
        if word:
            style = Markup("right:0;bottom:{:.2f}%").format(self.y.at(value) * 100)
            self._words.append(Markup('<span class="lv {}" style="{}">{}</span>').format(css, style, shown(word)))

    def ends(self, words: Sequence[tuple[float, str, str]], gap: float) -> None:
        """Names (value, word, css) at the right edge, pushed apart to `gap` (a share of the height), and down where
        they would rise above the plot."""
        ordered = sorted(words, key=lambda item: item[0])
        placed: list[float] = []
        for value, _, _ in ordered:
            placed.append(max(self.y.at(value), placed[-1] + gap if placed else 0.0))
        highest = max(1.0, gap * (len(placed) - 1))
        for index in reversed(range(len(placed))):
            placed[index] = min(placed[index], highest)
            highest = placed[index] - gap
        for at, (_, word, css) in zip(placed, ordered, strict=True):
            span = Markup('<span class="end {}" style="bottom:{:.2f}%">{}</span>')
            self._words.append(span.format(css, at * 100, shown(word)))

    def render(self) -> Markup:
        grid: list[Markup] = []
        words = list(self._words)
        for at, word in self.y.ticks():
            grid.append(Markup('<path d="M0 {:.1f}H1000"/>').format((1 - at) * _SIDE))
            if word:
                words.append(Markup('<span class="yt" style="bottom:{:.2f}%">{}</span>').format(at * 100, word))
        for at, word in self.x.ticks():
            grid.append(Markup('<path d="M{:.1f} 0V1000"/>').format(at * _SIDE))
            if word:
                words.append(Markup('<span class="xt" style="left:{:.2f}%">{}</span>').format(at * 100, word))
        return Markup(
            '<div class="plot {}" style="--end:{}ch" role="img" aria-label="{}">'
            '<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
            '<g class="grid">{}</g>{}</svg><div class="words" aria-hidden="true">{}</div></div>'
        ).format(
            self.css,
            self.right_ch,
            shown(self.label),
            Markup().join(grid),
            Markup().join(self._shapes),
            Markup().join(words),
        )

    def _path(self, points: Sequence[tuple[float, float]]) -> str:
        """Straight lines through the points; a NaN lifts the pen."""
        parts: list[str] = []
        pen = "M"
        for x, y in points:
            if math.isnan(y):
                pen = "M"
                continue
            parts.append(f"{pen}{self.x.at(x) * _SIDE:.1f} {(1 - self.y.at(y)) * _SIDE:.1f}")
            pen = "L"
        return "".join(parts)


def steps(edges: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Corners of a stepped line: each value holds from its bin's left edge to its right one."""
    corners: list[tuple[float, float]] = []
    for index, value in enumerate(values):
        corners.extend(((edges[index], value), (edges[index + 1], value)))
    return corners


def _round_step(span: float, *, most: int, rounds: tuple[int, ...] = (1, 2, 5)) -> float:
    """The smallest round number (one of `rounds` times a power of ten) that cuts `span` into at most `most` steps."""
    least = max(span / most, 1e-9)
    unit = 10.0 ** math.floor(math.log10(least))
    return next(factor * unit for factor in (*rounds, 10) if factor * unit >= least * (1 - 1e-9))


def _clamped(share: float) -> float:
    return min(1.0, max(0.0, share))
