"""Habits that hurt, off unless asked for: what services of this kind do besides, and what it costs them.

    retries    ask again at once after an error                    shows: a retry storm on a backend that is busy
    sessions   hold a database session while backends are asked    shows: a 500 for everybody, not a 504

A rung has neither. They are switched on by the environment (see aggregator.settings), whatever the rung.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Habits:
    retries: int = 0
    sessions: int = 0
    """0: a request needs none."""
    session_wait_ms: float = 30_000.0


NO_HABITS: Final = Habits()
