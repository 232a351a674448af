"""An answer as HTTP: what the status and the headers say of it."""

from __future__ import annotations

import orjson
import pytest

from aggregator.answer import Answer, Result
from aggregator.reply import offers_reply

NOTHING = [Result("azure", 0.01, reason="circuit_open", age_s=None)]


@pytest.mark.parametrize("seconds", [1, 9])
def test_a_503_says_when_to_ask_again(seconds: int) -> None:
    reply = offers_reply(Answer([], NOTHING, NOTHING, is_unavailable=True, retry_after_s=seconds), "r")
    assert (reply.status, dict(reply.headers)[b"retry-after"]) == (503, str(seconds).encode())
    assert orjson.loads(reply.body)["missing"] == [{"backend": "azure", "reason": "circuit_open"}]


def test_a_200_does_not() -> None:
    reply = offers_reply(Answer([], NOTHING, NOTHING, retry_after_s=9), "r")
    assert (reply.status, b"retry-after" in dict(reply.headers)) == (200, False)
