"""503 with Retry-After where no backend has any offers, instead of a 200 whose empty list looks like "no offers".

A client that takes the empty list for an answer shows its user an empty shop, or deletes what it had; and monitoring of
statuses and response times shows a healthy service. If some backends are missing, the answer says so; if all are, the
status does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

RETRY_AFTER_S: Final = 1
RETRY_AFTER_MOST_S: Final = 120
"""A client that stays away for longer misses too much if the backend changes its mind."""


def is_unavailable(found: Iterable[bool]) -> bool:
    """`found`: for each backend that the client wants, whether there are any offers of it. False where it is empty."""
    each = list(found)
    return bool(each) and not any(each)


def retry_after_s(agains_s: Iterable[float]) -> int:
    """When asking again may help, in whole seconds: as soon as the first of the backends may answer.

    `agains_s`: of each backend that was wanted, the time until it will be asked again, or wants to be; 0 where
    that is not known.
    """
    soonest_s = min(agains_s, default=0.0)
    return max(RETRY_AFTER_S, math.ceil(min(soonest_s, RETRY_AFTER_MOST_S)))
