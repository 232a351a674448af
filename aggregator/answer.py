"""What asking came to: of one backend, and of all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aggregator.query import Offer


@dataclass(frozen=True, slots=True)
class Result:
    """What asking one backend came to. `reason` is None where it answered.

    `age_s` is 0 for an answer of now, above it for the last known offers that stand in for one, None
    where there are no offers at all.
    """

    backend: str
    elapsed_s: float
    offers: Sequence[Offer] = ()
    reason: str | None = None
    age_s: float | None = 0.0
    again_s: float = 0.0
    """After how long asking it again may help; 0 where nobody knows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`results` holds every backend that was asked, `wanted` those of them that the client asked for."""

    offers: list[Offer]
    wanted: list[Result]
    results: list[Result]
    next_cursor: str | None = None
    """Of the page that follows; None: this was the last."""
    is_unavailable: bool = False
    """Nobody who was wanted has anything, and the client is to be told by the status."""
    retry_after_s: int = 1
    """After so many seconds, one at least, asking again may help."""

    @property
    def missing(self) -> list[Result]:
        """Those that the client wanted in vain."""
        return [result for result in self.wanted if result.age_s is None]

    @property
    def is_partial(self) -> bool:
        """Whether anything in it is missing, or old."""
        return any(result.reason for result in self.wanted)
