"""The readings of one series of the service's metrics in a phase, as arrays. Pure; nothing is judged here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.rundir.metrics.readings import MetricReading, MetricType
from harness.units import NS_PER_S, Span


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """`t_ns`, `values`: one entry for each reading that has a value, in order of time. `failed`: why the last one that
    has none has none. `is_recorded`: the run has readings of the series at all, with or without values."""

    t_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    type: MetricType | None
    failed: str
    is_recorded: bool

    def apart_from(self, seconds: frozenset[int], t0_ns: int) -> MetricSeries:
        """The readings outside these seconds (counted from t = 0) and the second after each, in which the late load
        generator affected the service."""
        affected = list(seconds | {each + 1 for each in seconds})
        kept = ~np.isin((self.t_ns - t0_ns) // NS_PER_S, affected)
        return replace(self, t_ns=self.t_ns[kept], values=self.values[kept]) if seconds else self


def series_of(readings: Sequence[MetricReading], series: str, spans: Sequence[Span]) -> MetricSeries:
    """The readings of `series` within any of the spans."""
    own = [reading for reading in readings if reading.series == series]
    inside = [reading for reading in own if any(span.has(reading.t_ns) for span in spans)]
    known = [(reading.t_ns, reading.value) for reading in inside if reading.value is not None]
    return MetricSeries(
        t_ns=np.array([t_ns for t_ns, _ in known], np.int64),
        values=np.array([value for _, value in known], np.float64),
        type=next((reading.type for reading in reversed(inside) if reading.value is not None), None),
        failed=next((reading.failed for reading in reversed(inside) if reading.value is None), ""),
        is_recorded=bool(own),
    )
