"""Formats a gate's figures for people, by their unit. Gates, reports and summaries all use this one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from harness.units import format_bytes, format_duration, format_exact_duration, format_quantity, format_share

READINGS: Final = "readings"
ARRIVALS: Final = "arrivals"


@dataclass(frozen=True, slots=True)
class UnitWords:
    """How figures of one unit are written. `format`: a measured value, rounded. `exact`: a limit, as written in the
    gate. `counts`: the name of what a gate's `n` counts."""

    format: Callable[[float], str]
    exact: Callable[[float], str]
    counts: str = ARRIVALS


def _exact_ms(value: float) -> str:
    """A limit as a scenario writes it; one that is a multiple of the baseline is a measured figure, and rounded."""
    return format_exact_duration(value) if float(f"{value:.4g}") == value else format_duration(value)


def _plain(value: float) -> str:
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


UNITS: Final[dict[str, UnitWords]] = {
    "ms": UnitWords(format_duration, _exact_ms),
    "share": UnitWords(format_share, lambda value: f"{value * 100:.6g} %"),
    "ratio": UnitWords(_plain, lambda value: f"{value:.6g}"),
    "per_s": UnitWords(lambda value: f"{value:.4g}/s", lambda value: f"{value:.6g}/s"),
    "bytes": UnitWords(format_bytes, format_bytes, READINGS),
    "count": UnitWords(format_quantity, format_quantity, READINGS),
}


def format_figure(unit: str, value: float) -> str:
    """`value` in its unit: `2.00 s`, `1.20 %`, `38.2/s`, `300 MB`."""
    return UNITS[unit].format(value)
