"""Translates libcurl's error codes into outcomes; no other module does."""

from __future__ import annotations

from typing import Final

import pycurl

from harness.rundir.rows import Outcome
from scenarios.drive.curl.answer_buffer import AnswerBuffer

_TAKEN: Final = frozenset((0, pycurl.E_WRITE_ERROR))
"""The answer arrived whole, or the decoder wanted no more of it."""


def outcome_of(code: int, answer: AnswerBuffer, late: Outcome) -> Outcome | None:
    """How a request failed before a whole answer; None if an answer arrived, whose status and body then decide.

    `code`: libcurl's. `late`: the outcome of a request that the deadline ended.
    """
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return late
    if answer.is_undecoded() and code in _TAKEN:
        return Outcome.BAD_ANSWER
    return Outcome.CONNECTION_ERROR if code or answer.is_cut() else None
