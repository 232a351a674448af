"""Steps and ramps: unit-rate arrival times transformed to a piecewise linear rate.

Inversion: with Λ(t) the integral of the rate, a process of unit rate becomes one of rate λ(t) by
sending its points through Λ⁻¹ (Çinlar 1975). Over one stage Λ is a parabola, so Λ⁻¹ is a root.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from math import sqrt

from harness.rundir.planned.load import Stage
from harness.units import NS_PER_MS


def arrivals_ns(stages: Sequence[Stage], start_ms: float, unit_times: Iterator[float]) -> array[int]:
    """Ascending times in nanoseconds of every unit time that falls within the stages."""
    found: array[int] = array("q")
    append = found.append
    unit = next(unit_times)
    reached = 0.0  # Λ where the stage begins
    start_ns = start_ms * NS_PER_MS
    for stage in stages:
        length_ns = stage.duration_ms * NS_PER_MS
        # per nanosecond, so that the loop needs no conversion
        rate = stage.start_per_s / 1e9
        slope = (stage.end_per_s - stage.start_per_s) / 1e9 / length_ns
        last_ns = int(start_ns + length_ns) - 1
        until = reached + expected(stage)
        if not slope and rate:  # the usual case, and three times as fast; the judge draws the arrivals again
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
