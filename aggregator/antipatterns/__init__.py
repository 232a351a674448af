"""Antipatterns that services of this kind often have, off unless they are switched on, to show what they cost.

    retries    ask again at once after an error                    shows: a retry storm on a backend that is busy
    sessions   hold a database session while backends are asked    shows: a 500 for everybody, not a 504
    timeouts   give up on a backend when no byte came for so long  shows: a hang ends, a body that drips does not

`timeouts` is the client's read timeout (aggregator.backends.transport), which looks like a deadline and is none: it
counts from byte to byte, so that the rung `parallel` with it survives a backend that hangs, and falls to
one that sends a byte now and then.

A rung has none of them. They are switched on by the environment (see aggregator.settings), whatever the rung.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Antipatterns:
    retries: int = 0
    sessions: int = 0
    """0: a request needs none."""
    session_wait_ms: float = 30_000.0
    read_timeout_ms: float = 0.0
    """0: there is none."""

    @property
    def read_timeout_s(self) -> float | None:
        """As clients take it."""
        return self.read_timeout_ms / 1000 or None


NO_ANTIPATTERNS: Final = Antipatterns()
