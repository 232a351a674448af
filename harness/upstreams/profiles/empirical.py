"""`empirical: FILE`: latencies as recorded from a real upstream, by the points of their distribution in the plan."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from harness.upstreams.profiles.profile import LONGEST_MS
from harness.upstreams.recording import Points, value_at


@dataclass(frozen=True, slots=True)
class Empirical:
    """Straight lines between the points; nothing is faster or slower than what was recorded."""

    points: Points

    def __post_init__(self) -> None:
        """Raises ValueError unless there are points, with shares and latencies both rising and none negative."""
        if not self.points or not 0 <= self.points[0][1] <= self.points[-1][1] <= LONGEST_MS:
            raise ValueError("a recording has at least one latency, none below zero and none above a day")
        for (share, value_ms), (next_share, next_ms) in pairwise(self.points):
            if not (share < next_share and value_ms <= next_ms):
                raise ValueError(f"a recording rises from point to point, which it does not after {share:g}")

    def latency_ms(self, uniform: float) -> float:
        return value_at(self.points, uniform)
