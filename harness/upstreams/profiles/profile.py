"""The interface of a latency profile: an inverse distribution function. Pure; it has no random state."""

from __future__ import annotations

from statistics import NormalDist
from typing import Final, Protocol

from harness.model.value_types import LONGEST_MS

__all__ = ["LONGEST_MS", "NORMAL", "Profile"]

NORMAL: Final = NormalDist()


class Profile(Protocol):
    """How long an answer takes, as a function of one uniform draw in (0, 1): its quantile.

    Never negative, never above `LONGEST_MS` (a day, as for every duration: a heavy tail has no end of
    its own), and never falling as `uniform` rises.
    """

    def latency_ms(self, uniform: float) -> float: ...
