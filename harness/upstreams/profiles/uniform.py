"""`uniform: {low: 100ms, high: 300ms}`: every value between the two is equally likely."""

from __future__ import annotations

from dataclasses import dataclass

from harness.upstreams.profiles.profile import LONGEST_MS


@dataclass(frozen=True, slots=True)
class Uniform:
    low_ms: float
    high_ms: float

    def __post_init__(self) -> None:
        """Raises ValueError unless 0 ≤ low ≤ high ≤ 24 h. With low = high every latency is the same."""
        if not 0 <= self.low_ms <= self.high_ms <= LONGEST_MS:
            given = f"{self.low_ms:g} ms and {self.high_ms:g} ms"
            raise ValueError(f"low must be 0 or more, and high between low and 24h; here they are {given}")

    def latency_ms(self, uniform: float) -> float:
        return self.low_ms + uniform * (self.high_ms - self.low_ms)
