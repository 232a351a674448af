"""The result of asking one backend, and the answer made from the results of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aggregator.query import Offer


@dataclass(frozen=True, slots=True)
class Result:
    """The result of asking one backend. `reason` says why it gave no answer; None: it answered.

    `age_s` is 0 for offers of this answer, above 0 for last known offers that replace them, None where there are none.
    """

    backend: str
    elapsed_s: float
    offers: Sequence[Offer] = ()
    reason: str | None = None
    age_s: float | None = 0.0
    again_s: float = 0.0
    """After how long asking it again may help; 0: not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`results` holds every backend that was asked, `wanted` those of them that the client asked for."""

    offers: list[Offer]
    wanted: list[Result]
    results: list[Result]
    next_cursor: str | None = None
    """Of the page that follows; None: this was the last."""
    is_unavailable: bool = False
    """No backend that the client wants has any offers, and the policy `unavailable` answers 503."""
    retry_after_s: int = 1
    """After so many seconds, one at least, asking again may help."""

    @property
    def missing(self) -> list[Result]:
        """The backends that the client wants and of which there are no offers."""
        return [result for result in self.wanted if result.age_s is None]

    @property
    def is_partial(self) -> bool:
        """Whether the offers of any backend are missing or old."""
        return any(result.reason for result in self.wanted)
