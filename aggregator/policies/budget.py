"""One deadline for the whole request, taken from the gateway's timeout, and what is left of it for each call.

A deadline for each backend does not bound a request that asks several in a row, retries, or waited
before it began. The budget does: it ends while the gateway still waits, and each call carries the time that it has
left, so that the backend can stop as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

SHARE_OF_GATEWAY: Final = 0.8
"""What is left is for putting the answer together, and for a gateway whose clock began earlier."""
HEADER: Final = "x-deadline-ms"
"""Milliseconds that a call had when it was made."""


class BudgetSpent(Exception):
    """The request has no time left to ask with."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Until when one request may go on. Made when it arrives."""

    ends_s: float
    clock: Callable[[], float]

    @classmethod
    def of(cls, gateway_timeout_s: float, clock: Callable[[], float] = time.monotonic) -> Self:
        return cls(clock() + SHARE_OF_GATEWAY * gateway_timeout_s, clock)

    @property
    def left_s(self) -> float:
        return max(0.0, self.ends_s - self.clock())

    def for_call(self, deadline_s: float | None) -> float:
        """How long a call may take: its own deadline or what is left. Raises BudgetSpent where nothing is."""
        left_s = self.left_s
        if not left_s:
            raise BudgetSpent("no time was left to ask it")
        return left_s if deadline_s is None else min(deadline_s, left_s)


def deadline_header(seconds: float) -> dict[str, str]:
    """For a call that has so long."""
    return {HEADER: f"{seconds * 1000:.0f}"}
