"""Latency profiles: from a uniform draw to how long a backend takes. Pure; holds no random state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Protocol, Self

_NORMAL: Final = NormalDist()
_Z99: Final = _NORMAL.inv_cdf(0.99)


class Profile(Protocol):
    """How long an answer takes, as a function of one uniform draw in (0, 1)."""

    def latency_ms(self, uniform: float) -> float: ...


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
        """p99 = p50 makes it constant. Raises ValueError unless 0 < p50 ≤ p99."""
        if not 0 < p50_ms <= p99_ms:
            raise ValueError(f"p50 must be above zero and at most p99, not {p50_ms:g} ms and {p99_ms:g} ms")
        return cls(math.log(p50_ms), math.log(p99_ms / p50_ms) / _Z99)

    def latency_ms(self, uniform: float) -> float:
        return math.exp(self.mu + self.sigma * _NORMAL.inv_cdf(uniform))
