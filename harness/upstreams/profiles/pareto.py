"""`pareto: {least: 50ms, p99: 2s}`: a heavy tail, where now and then an answer takes very long."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.upstreams.profiles.profile import LONGEST_MS


@dataclass(frozen=True, slots=True)
class Pareto:
    """P(latency > t) = (least / t) ^ alpha. Two figures fix it: 1 / alpha = ln(p99 / least) / ln 100.

    Each factor of a hundred in the share makes the latency p99 / least times longer: with 50 ms and 2 s the median is
    87 ms and p99.99 is 80 s. A draw above a day becomes a day.
    """

    least_ms: float
    p99_ms: float

    def __post_init__(self) -> None:
        """p99 = least makes it constant. Raises ValueError unless 0 < least ≤ p99 ≤ a day."""
        if not 0 < self.least_ms <= self.p99_ms <= LONGEST_MS:
            given = f"{self.least_ms:g} ms and {self.p99_ms:g} ms"
            raise ValueError(f"least must be above zero and at most p99, p99 at most a day, not {given}")

    def latency_ms(self, uniform: float) -> float:
        exponent = math.log(self.p99_ms / self.least_ms) / math.log(100)
        return min(LONGEST_MS, self.least_ms * math.exp(-exponent * math.log1p(-uniform)))
