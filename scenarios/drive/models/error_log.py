"""Exceptions that a locustfile's tasks raise: the first of each kind is logged, the others are counted."""

from __future__ import annotations

import logging
import traceback
from collections import Counter

log = logging.getLogger("tailgate.worker")

TOLD_AT_MOST = 20


class ErrorLog:
    """It logs a limited number of tracebacks, so that a task that fails five hundred times a second fills no disk."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
        key = (type(error).__name__, place)
        if key not in self._counts and len(self._counts) < TOLD_AT_MOST:
            log.error("a task failed; its arrival counts as bad_answer", exc_info=error)
        if key in self._counts or len(self._counts) < TOLD_AT_MOST:
            self._counts[key] += 1

    def tell(self) -> None:
        """Logs the totals; called at the end."""
        for (kind, place), count in self._counts.most_common():
            log.error("%d × %s at %s", count, kind, place)
