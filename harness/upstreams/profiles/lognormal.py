"""`lognormal: {p50: 200ms, p99: 600ms}`; `p50` and `p99` alone are short for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

from harness.upstreams.profiles.profile import LONGEST_MS, NORMAL

_Z99: Final = NORMAL.inv_cdf(0.99)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """A lognormal latency: ln(latency) is normal with mean `mu` and deviation `sigma`.

    Chosen because response times are skewed and positive, and because two percentiles that a person
    knows from a dashboard fix it: mu = ln p50, sigma = ln(p99 / p50) / z(0.99).
    """

    mu: float
    sigma: float

    @classmethod
    def from_percentiles(cls, p50_ms: float, p99_ms: float) -> Self:
        """p99 = p50 makes it constant. Raises ValueError unless 0 < p50 ≤ p99 ≤ a day."""
        if not 0 < p50_ms <= p99_ms <= LONGEST_MS:
            given = f"{p50_ms:g} ms and {p99_ms:g} ms"
            raise ValueError(f"p50 must be above zero and at most p99, p99 at most a day, not {given}")
        return cls(math.log(p50_ms), math.log(p99_ms / p50_ms) / _Z99)

    def latency_ms(self, uniform: float) -> float:
        return min(LONGEST_MS, math.exp(self.mu + self.sigma * NORMAL.inv_cdf(uniform)))
