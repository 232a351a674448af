"""Whether the machine was equally fast for two runs: without that, the figures of one say nothing about the other.

A p50 of 4 ms becomes 6 ms when another program is busy, and no factor corrects for that. So runs record how long a
fixed piece of work took before and after them (`harness.rundir.yardstick`).
"""

from __future__ import annotations

from typing import Final

from harness.rundir.results import Machine
from harness.units import format_duration

YARDSTICK_TOLERANCE: Final = 0.10
"""The yardstick, a fixed piece of work, may have taken this much longer for one run than for the other."""


def machine_difference(base: Machine, head: Machine, names: tuple[str, str] = ("BASE", "HEAD")) -> str:
    """Why the machine was not equally fast for both runs, or may not have been; empty if it was. `names`: what the two
    are called."""
    for name, machine in zip(names, (base, head), strict=True):
        if machine.yardstick is None:
            return f"{name} has no yardstick: an older tailgate recorded it, or its run was cut short"
        if machine.yardstick.after_ms is None:
            return f"{name} has no yardstick from after the run: it was interrupted"
    assert base.yardstick and head.yardstick
    if base.cores != head.cores:
        return f"the machines differ: {base.cores or 'unknown'} and {head.cores or 'unknown'} cores"
    pairs = [(b, h) for b in base.yardstick.figures_ms for h in head.yardstick.figures_ms]
    if all(max(pair) <= min(pair) * (1 + YARDSTICK_TOLERANCE) for pair in pairs):
        return ""
    return (
        f"the machine was not as fast for both runs: the same fixed work took {_durations(base)} before and after "
        f"{names[0]}, and {_durations(head)} before and after {names[1]}, which is more than {YARDSTICK_TOLERANCE:.0%} "
        "apart"
    )


def _durations(machine: Machine) -> str:
    figures = machine.yardstick.figures_ms if machine.yardstick else ()
    return " and ".join(format_duration(ms) for ms in figures)
