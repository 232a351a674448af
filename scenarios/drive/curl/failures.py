"""Translates libcurl's error codes into outcomes; no other module does."""

from __future__ import annotations

import pycurl

from harness.rundir.rows import Outcome
from scenarios.drive.curl.answer_buffer import AnswerBuffer


def outcome_of(code: int, answer: AnswerBuffer, late: Outcome) -> Outcome | None:
    """How a request failed before a whole answer; None if an answer arrived, whose status and body then decide.

    `code`: libcurl's. `late`: the outcome of a request that the deadline ended.
    """
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return late
    if code or answer.is_cut():
        return Outcome.CONNECTION_ERROR
    return Outcome.BAD_ANSWER if answer.is_undecoded() else None
