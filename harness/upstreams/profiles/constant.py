"""`constant: 200ms`: every answer takes the same time."""

from __future__ import annotations

from dataclasses import dataclass

from harness.upstreams.profiles.profile import LONGEST_MS


@dataclass(frozen=True, slots=True)
class Constant:
    constant_ms: float

    def __post_init__(self) -> None:
        """Raises ValueError unless 0 ≤ constant ≤ a day."""
        if not 0 <= self.constant_ms <= LONGEST_MS:
            raise ValueError(f"a constant latency is zero or more and at most a day, not {self.constant_ms:g} ms")

    def latency_ms(self, _uniform: float) -> float:
        return self.constant_ms
