"""The kinds of fault whose level a frontier search changes: their scales, and how a level is written. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.errors import UsageError
from harness.rundir.searches.frontier import FrontierKind, LevelUnit
from harness.search.level_search import LevelScale
from harness.units import duration_literal, format_exact_duration, format_share, parse_duration_ms, parse_share

ASCENT: Final = 3.0
"""Levels span decades: a delay may be 50 ms or a minute."""


@dataclass(frozen=True, slots=True)
class KindTraits:
    """One kind. `fields`: the fields of a scenario's fault of that level. `on_calls`: it breaks single calls, so
    something of ours must see them."""

    unit: LevelUnit
    scale: LevelScale
    fields: Callable[[float], Mapping[str, Any]]
    on_calls: bool = False


def _share_field(share: float) -> str:
    return f"{100 * share:.6g}%"


KINDS: Final[dict[FrontierKind, KindTraits]] = {
    # shorter delays cannot be distinguished from those of a busy machine; a caller that waits a minute waits for ever
    "latency": KindTraits(
        "ms", LevelScale(500.0, 25.0, 60_000.0, ASCENT), lambda level: {"latency": duration_literal(level)}
    ),
    "errors": KindTraits(
        "share", LevelScale(0.05, 0.001, 1.0, ASCENT), lambda level: {"status": 503, "share": _share_field(level)}, True
    ),
    "hang": KindTraits(
        "share", LevelScale(0.05, 0.001, 1.0, ASCENT), lambda level: {"hang": True, "share": _share_field(level)}, True
    ),
    # a shorter hang may end before two canaries were held by it
    "outage": KindTraits("ms", LevelScale(10_000.0, 5_000.0, 120_000.0, ASCENT), lambda _level: {"hang": True}),
}


def scale_of(kind: FrontierKind, first: float | None, most: float | None) -> LevelScale:
    """The kind's scale from `first` to `most`; None: where it usually begins and ends. Raises UsageError."""
    usual = KINDS[kind].scale
    end = usual.most if most is None else most
    begin = usual.first if first is None else first
    if KINDS[kind].unit == "share" and (end is None or end > 1):
        raise UsageError(f"--to {end:g} is more than every call", "give a share up to 100%")
    for option, level in (("--from", first), ("--to", most)):
        if level is not None and level < usual.least:
            raise UsageError(
                f"{option} {level_text(kind, level)} is too little: nothing would show such a fault",
                f"give {level_text(kind, usual.least)} or more",
            )
    if first is not None and end is not None and first > end:
        raise UsageError(
            f"--from {level_text(kind, first)} is above --to {level_text(kind, end)}",
            "give a higher --to, or a lower --from",
        )
    return LevelScale(begin, usual.least, end, usual.ascent)


def parse_level(kind: FrontierKind, text: str) -> float:
    """A duration in ms, or a share. Raises ValueError."""
    return parse_duration_ms(text) if KINDS[kind].unit == "ms" else parse_share(text)


def level_text(kind: FrontierKind, level: float) -> str:
    """For people: `900 ms`, `40 s`, `5.00 %`."""
    return format_exact_duration(level) if KINDS[kind].unit == "ms" else format_share(level)


def waited_ms(kind: FrontierKind, level: float, hold_ms: float) -> float:
    """How long a call can be held by the fault. Only after that the number of open requests can stand still.

    `hold_ms`: how long a caller waits at most. A call that is later than that still takes something of the service.
    """
    return {"latency": level, "errors": 0.0, "hang": hold_ms, "outage": hold_ms}[kind]
