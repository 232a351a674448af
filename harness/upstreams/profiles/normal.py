"""`normal: {mean: 200ms, deviation: 40ms}`: the normal distribution, with values below zero set to zero."""

from __future__ import annotations

from dataclasses import dataclass

from harness.upstreams.profiles.profile import LONGEST_MS, NORMAL


@dataclass(frozen=True, slots=True)
class Normal:
    """Draws below zero become zero and are not drawn again, so that mean and p99 stay as written.

    (With a deviation above half of the mean, more than 2 % of the draws are cut; the true mean is then a little above
    the one written.)
    """

    mean_ms: float
    deviation_ms: float

    def __post_init__(self) -> None:
        """Raises ValueError unless 0 < mean and 0 ≤ deviation, both at most a day."""
        if not (0 < self.mean_ms <= LONGEST_MS and 0 <= self.deviation_ms <= LONGEST_MS):
            given = f"{self.mean_ms:g} ms and {self.deviation_ms:g} ms"
            raise ValueError(
                f"the mean must be above zero and the deviation not below it, both at most a day, not {given}"
            )

    def latency_ms(self, uniform: float) -> float:
        return min(LONGEST_MS, max(0.0, self.mean_ms + self.deviation_ms * NORMAL.inv_cdf(uniform)))
