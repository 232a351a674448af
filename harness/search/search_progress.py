"""What a search shows while it goes: which load is under way, what is certified so far, and how long is left at most.

Pure. A display informs and never decides; `harness.cli.display.search_panel` draws it in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.rundir.searches.capacity import StepPurpose
from harness.units import format_duration


@dataclass(frozen=True, slots=True)
class LoadUnderWay:
    """One load of a curve. `level`: what the search changes, with its unit; `certified`: a part for this curve, empty
    if nothing is certified yet. Times are in seconds."""

    curve: str
    purpose: StepPurpose
    level: str
    at_s: float
    length_s: float
    certified: str
    curve_left_s: float
    """How long the curve still takes at most, this load included."""


@dataclass(frozen=True, slots=True)
class SearchState:
    """The load under way and the curves around it. `left_s`: of the whole search, at most. `certified`: a part for each
    curve, `health 180/s and not 200/s`."""

    load: LoadUnderWay
    number: int
    curves: int
    certified: tuple[str, ...]
    left_s: float

    def __str__(self) -> str:
        """On one line, without what is certified."""
        load = self.load
        left_s = load.length_s - load.at_s
        left = f"{format_duration(1000 * left_s)} of it left" if left_s > 0 else "its last requests"
        return (
            f"curve {self.number} of {self.curves}, {load.curve} · "
            f"{load.purpose} at {load.level} · {left} · "
            f"at most {format_duration(1000 * self.left_s)} in all"
        )


@dataclass(slots=True)
class SearchProgress:
    """Adds what is known of the other curves to the load under way, and hands both to `show`. `longest_s`: how long
    each curve takes at most. `ended`: what is certified of those that are over, empty if nothing is."""

    longest_s: Sequence[float]
    show: Callable[[SearchState], None]
    ended: list[str] = field(default_factory=list)

    def update(self, load: LoadUnderWay) -> None:
        number = len(self.ended) + 1
        self.show(
            SearchState(
                load=load,
                number=number,
                curves=len(self.longest_s),
                certified=tuple(text for text in (*self.ended, load.certified) if text),
                left_s=load.curve_left_s + sum(self.longest_s[number:]),
            )
        )


def certified_text(curve: str, certified: str | None, refuted: str | None) -> str:
    """`health 180/s and not 200/s`; empty if nothing is certified."""
    parts = [] if certified is None else [certified]
    parts += [] if refuted is None else [f"not {refuted}"]
    return f"{curve} {' and '.join(parts)}" if parts else ""
