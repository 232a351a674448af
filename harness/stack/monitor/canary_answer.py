"""What an answer to a canary is: whole or not, and whether its body holds offers. Pure."""

from __future__ import annotations

from typing import Final

import orjson

from harness.rundir.canaries import Looks
from harness.stack.http1 import HttpExchange

LOOKED_INTO_BYTES: Final = 4 << 20
"""A larger body is not parsed: the supervisor has other things to do."""


def fault_in(answer: HttpExchange) -> str:
    """What is wrong with an answer that has ended with what was received; empty: it is whole and 2xx."""
    if not answer.received:
        return "closed without an answer"
    if not answer.is_http:
        return "not an HTTP answer"
    if not answer.has_head:
        return "cut short in the head"
    if not 200 <= answer.status < 300:
        return f"HTTP {answer.status}"
    if answer.length is not None and len(answer.body) < answer.length:
        return f"cut short after {len(answer.body)} of {answer.length} bytes"
    if answer.is_chunked and not answer.ended:
        return f"cut short after {answer.body_bytes} bytes"
    return ""


def classify(body: bytes | bytearray, upstream: str) -> Looks | None:
    """What a whole answer's body is to a client of this upstream. None: it is too large to be parsed."""
    if len(body) > LOOKED_INTO_BYTES:
        return None
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return "no_json"
    return "offers" if f"-tg-{upstream}.".encode() in body else "no_offers"
