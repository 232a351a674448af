"""503 with Retry-After where nothing can be had, in place of a 200 whose empty list looks like "no offers".

A client that takes the empty list for an answer shows its user an empty shop, or deletes what it had; and
whoever counts statuses or response times sees a service in health. That one backend of several is missing
is for the answer to say; that all are is for the status.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

RETRY_AFTER_S: Final = 1


def is_unavailable(found: Iterable[bool]) -> bool:
    """`found`: of each backend that was wanted, whether there is anything of it. Of nobody wanted, False."""
    each = list(found)
    return bool(each) and not any(each)
