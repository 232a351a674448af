"""Translates libcurl's error codes into outcomes; no other module does."""

from __future__ import annotations

from typing import Final

import pycurl

from harness.rundir.rows import Outcome

_BAD_ANSWERS: Final = frozenset((pycurl.E_BAD_CONTENT_ENCODING, pycurl.E_URL_MALFORMAT))
"""A body that cannot be decoded, and a request that cannot be sent, as for FastHttpUser."""


def outcome_of(code: int, late: Outcome) -> Outcome | None:
    """How a request failed before a whole answer; None if an answer arrived. `late`: for the deadline."""
    if code == 0:
        return None
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return late
    return Outcome.BAD_ANSWER if code in _BAD_ANSWERS else Outcome.CONNECTION_ERROR
