"""What a search shows while it goes: which load is under way, what is certified so far, and how long is left at most.

Pure. A display informs and never decides; `harness.cli.display.search_panel` draws it in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.rundir.searches.capacity import RateCurve, StepPurpose
from harness.units import format_duration


@dataclass(frozen=True, slots=True)
class LoadUnderWay:
    """One load of a curve. Times are in seconds; rates are those of this curve, None: not certified yet."""

    fault: str | None
    purpose: StepPurpose
    rate_per_s: float
    at_s: float
    length_s: float
    certified_per_s: float | None
    refuted_per_s: float | None
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
            f"curve {self.number} of {self.curves}, {load.fault or 'health'} · "
            f"{load.purpose} at {load.rate_per_s:g}/s · {left} · "
            f"at most {format_duration(1000 * self.left_s)} in all"
        )


@dataclass(slots=True)
class SearchProgress:
    """Adds what is known of the other curves to the load under way, and hands both to `show`. `curve_s`: how long a
    curve that has not begun takes at most."""

    curves: int
    curve_s: float
    show: Callable[[SearchState], None]
    ended: list[RateCurve] = field(default_factory=list)

    def update(self, load: LoadUnderWay) -> None:
        certified = [certified_text(each.fault, each.certified_per_s, each.refuted_per_s) for each in self.ended]
        certified.append(certified_text(load.fault, load.certified_per_s, load.refuted_per_s))
        left = self.curves - len(self.ended) - 1
        self.show(
            SearchState(
                load=load,
                number=len(self.ended) + 1,
                curves=self.curves,
                certified=tuple(text for text in certified if text),
                left_s=load.curve_left_s + left * self.curve_s,
            )
        )


def certified_text(fault: str | None, certified_per_s: float | None, refuted_per_s: float | None) -> str:
    """`health 180/s and not 200/s`; empty if nothing is certified."""
    parts = [] if certified_per_s is None else [f"{certified_per_s:g}/s"]
    parts += [] if refuted_per_s is None else [f"not {refuted_per_s:g}/s"]
    return f"{fault or 'health'} {' and '.join(parts)}" if parts else ""
