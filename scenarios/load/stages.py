"""Steps and ramps: unit-rate arrival times transformed to a piecewise linear rate.

Inversion: with Λ(t) the integral of the rate, a process of unit rate becomes one of rate λ(t) by
sending its points through Λ⁻¹ (Çinlar 1975). Over one stage Λ is a parabola, so Λ⁻¹ is a root.

It is written twice: `arrivals_ns` number by number, for a worker's quick start without numpy, and `many_arrivals_ns`
by arrays, for millions. Both do the same operations in the same order, so their results are equal to the last bit.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Final

from harness.rundir.planned.load import Stage
from harness.units import NS_PER_MS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK: Final = 2**15
"""Unit times that are transformed at once: few enough for the processor's cache."""


def arrivals_ns(stages: Sequence[Stage], start_ms: float, unit_times: Iterator[float]) -> array[int]:
    """Ascending times in nanoseconds of every unit time that falls within the stages."""
    found: array[int] = array("q")
    append = found.append
    unit = next(unit_times)
    reached = 0.0  # Λ where the stage begins
    start_ns = start_ms * NS_PER_MS
    for stage in stages:
        length_ns = stage.duration_ms * NS_PER_MS
        rate, slope = _per_ns(stage)
        last_ns = int(start_ns + length_ns) - 1
        until = reached + expected(stage)
        if not slope and rate:  # the usual case, and three times as fast
            while unit < until:
                append(min(round(start_ns + (unit - reached) / rate), last_ns))
                unit = next(unit_times)
        while unit < until:
            beyond = unit - reached
            # the root's other form, (√(…) - rate) / slope, loses every digit where slope is small;
            # the radicand is the rate squared, which rounding may take below zero at a ramp's end at 0
            steepness = rate + sqrt(max(0.0, rate * rate + 2 * slope * beyond))
            offset_ns = 2 * beyond / steepness if beyond else 0.0
            at_ns = min(round(start_ns + offset_ns), last_ns)
            append(at_ns if not found or at_ns > found[-1] else found[-1])
            unit = next(unit_times)
        reached = until
        start_ns += length_ns
    return found


def many_arrivals_ns(
    stages: Sequence[Stage], start_ms: float, unit_time_blocks: Iterator[NDArray[np.float64]]
) -> array[int]:
    """What `arrivals_ns` returns, from the same unit times in arrays."""
    found: array[int] = array("q")
    units = next(unit_time_blocks)
    reached = 0.0
    start_ns = start_ms * NS_PER_MS
    for stage in stages:
        until = reached + expected(stage)
        while True:
            count = int(units.searchsorted(until))
            if count:
                floor_ns = found[-1] if found else None
                found.frombytes(_transformed(stage, start_ns, units[:count] - reached, floor_ns).tobytes())
            if count < len(units):
                units = units[count:]
                break
            units = next(unit_time_blocks)
        reached = until
        start_ns += stage.duration_ms * NS_PER_MS
    return found


def _transformed(stage: Stage, start_ns: float, beyond: NDArray[np.float64], floor_ns: int | None) -> NDArray[np.int64]:
    """The times of one stage's arrivals. `beyond`: by how much their unit times are beyond the stage's begin;
    `floor_ns`: the arrival before them, below which rounding at a ramp takes none."""
    import numpy as np

    rate, slope = _per_ns(stage)
    last_ns = int(start_ns + stage.duration_ms * NS_PER_MS) - 1
    is_steady = bool(not slope and rate)
    if is_steady:
        offset_ns = beyond / rate
    else:
        steepness = rate + np.sqrt(np.maximum(0.0, rate * rate + 2 * slope * beyond))
        offset_ns = np.divide(2 * beyond, steepness, out=np.zeros_like(beyond), where=beyond != 0)
    at_ns: NDArray[np.int64] = np.minimum(np.rint(start_ns + offset_ns).astype(np.int64), last_ns)
    if is_steady:
        return at_ns
    np.maximum.accumulate(at_ns, out=at_ns)
    return at_ns if floor_ns is None else np.maximum(at_ns, floor_ns)


def _per_ns(stage: Stage) -> tuple[float, float]:
    """The rate at the stage's begin and its slope, per nanosecond, so that the loops need no conversion."""
    length_ns = stage.duration_ms * NS_PER_MS
    return stage.start_per_s / 1e9, (stage.end_per_s - stage.start_per_s) / 1e9 / length_ns


def expected(stage: Stage) -> float:
    """How many arrivals a stage brings on average."""
    return (stage.start_per_s + stage.end_per_s) / 2 * stage.duration_ms / 1000


def peak_rate_per_s(stages: Sequence[Stage]) -> float:
    return max((max(stage.start_per_s, stage.end_per_s) for stage in stages), default=0.0)


def rate_at(stages: Sequence[Stage], start_ms: float, at_ms: float) -> float:
    """Arrivals per second at `at_ms`; 0 outside the stages. A stage includes its start and excludes its end."""
    begins_ms = start_ms
    for stage in stages:
        within_ms = at_ms - begins_ms
        if 0 <= within_ms < stage.duration_ms:
            return stage.start_per_s + (stage.end_per_s - stage.start_per_s) * within_ms / stage.duration_ms
        begins_ms += stage.duration_ms
    return 0.0
