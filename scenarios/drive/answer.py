"""Classifies an answer: its outcome, and which upstreams' rows are in it.

It works on status codes and bodies; `failures` classifies what went wrong before a whole answer arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import jmespath
import orjson
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from harness.rundir.planned.load import PlannedLoad, PlannedRequest
from harness.rundir.planned.login import PlannedLogin
from harness.rundir.planned.upstream import PlannedUpstream
from harness.rundir.rows import Outcome

GATEWAY_TIMEOUT_STATUS = 504
BODY_SHOWN_MOST: Final = 120
"""Bytes of an answer that a message shows."""


class BadAnswer(Exception):
    """An answer that arrived whole and lacks what it should contain."""


class Checks:
    """The checks of one plan on an answer."""

    def __init__(self, load: PlannedLoad, upstreams: Sequence[PlannedUpstream]) -> None:
        self._ok = load.ok
        expected = [text for each in load.requests for text in (each.expect_contains, each.expect_lacks)]
        self._bits = {upstream.name: 1 << upstream.index for upstream in upstreams}
        self._marks: tuple[tuple[bytes, int], ...] = ()
        self._expression: ParsedResult | None = None
        if load.complete == "auto":
            # every row of a fake carries an instance name that ends in this
            self._marks = tuple((f"-tg-{name}.".encode(), bit) for name, bit in self._bits.items())
        elif load.complete == "jmespath" and load.complete_jmespath:
            self._expression = jmespath.compile(load.complete_jmespath)
        marks = tuple(mark for mark, _ in self._marks)
        self.needles: Final = (*marks, *(text.encode() for text in expected if text is not None))
        """Every string that a check looks for in a body; a body is only parsed besides (jmespath)."""

    def judge(
        self, status: int, body: bytes, request: PlannedRequest | None = None, *, accepted: bool = False
    ) -> tuple[Outcome, int]:
        """Outcome and `answered` bits (bit i: upstream i's rows are in it) of an answer that arrived whole.

        `accepted`: the locustfile declared this status a success (`response.success()`).
        """
        outcome = self._by_status(status, request, accepted)
        if outcome is not Outcome.OK:
            return outcome, 0
        if request is not None and not has_expected_text(request, body):
            return Outcome.BAD_ANSWER, 0
        try:
            return Outcome.OK, self._answered(body)
        except BadAnswer:
            return Outcome.BAD_ANSWER, 0

    def _by_status(self, status: int, request: PlannedRequest | None, accepted: bool) -> Outcome:
        if status == GATEWAY_TIMEOUT_STATUS:
            return Outcome.GATEWAY_TIMEOUT
        ok = accepted or within(status, self._ok)
        if request is not None and request.expect_status is not None:
            # an expected status is ok even outside `ok`; a status of `ok` that is not expected is a bad answer
            if within(status, request.expect_status):
                return Outcome.OK
            return Outcome.BAD_ANSWER if ok else Outcome.HTTP_ERROR
        return Outcome.OK if ok else Outcome.HTTP_ERROR

    def _answered(self, body: bytes) -> int:
        found = 0
        if self._expression is not None:
            for name in _names(self._expression, body):
                found |= self._bits.get(name, 0)
            return found
        for mark, bit in self._marks:
            if mark in body:
                found |= bit
        return found


def how_answered(request: str, response: Any, error: BaseException | None) -> str:
    """A clause on how a request ended: `POST login was answered 401: no such user`. It may contain secrets."""
    status = int(getattr(response, "status_code", 0) or 0)
    if not status:
        return f"{request} got no answer{f' ({type(error).__name__}: {error})' if error else ''}"
    body = getattr(response, "content", None) or b""
    shown = body[:BODY_SHOWN_MOST].decode("utf-8", "replace") if isinstance(body, bytes) else ""
    return f"{request} was answered {status}{f': {shown}' if shown else ''}"


def within(status: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    """Whether the status is in one of these inclusive ranges."""
    return any(low <= status <= high for low, high in ranges)


def has_expected_text(request: PlannedRequest | PlannedLogin, body: bytes) -> bool:
    """Whether the body contains what it must contain and lacks what it must lack."""
    contains, lacks = request.expect_contains, request.expect_lacks
    return (contains is None or contains.encode() in body) and (lacks is None or lacks.encode() not in body)


def _names(expression: ParsedResult, body: bytes) -> list[str]:
    """The upstream names that the expression finds in an answer. Raises BadAnswer if it finds no list of names."""
    try:
        found = expression.search(orjson.loads(body))
    except (orjson.JSONDecodeError, JMESPathError) as exc:
        raise BadAnswer(str(exc)) from exc
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise BadAnswer("the jmespath result is not a list of names")
    return found
