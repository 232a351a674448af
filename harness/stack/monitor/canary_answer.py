"""What an answer to a canary is: whole or not, its status, whether its body holds offers. Pure; HTTP/1.1 only."""

from __future__ import annotations

from typing import Final

import orjson

from harness.rundir.canaries import Looks

LOOKED_INTO_BYTES: Final = 4 << 20
"""A larger body is not parsed: the supervisor has other things to do."""


def fault_in(answer: bytes) -> str:
    """What is wrong with an HTTP/1.1 answer read to its end of file; empty: it is whole and 2xx."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return "cut short in the head" if head else "closed without an answer"
    status, *lines = head.split(b"\r\n")
    words = status.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        return "not an HTTP answer"
    if not words[1].startswith(b"2"):
        return f"HTTP {words[1].decode()}"
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    length = fields.get(b"content-length", b"")
    if length.isdigit() and len(body) < int(length):
        return f"cut short after {len(body)} of {int(length)} bytes"
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower() and not body.endswith(b"0\r\n\r\n"):
        return f"cut short after {len(body)} bytes"
    return ""


def status_of(answer: bytes | bytearray) -> int:
    """0 where no status line came."""
    words = bytes(answer[:64]).split(b" ", 2)
    known = len(words) > 1 and words[0].startswith(b"HTTP/") and words[1][:3].isdigit()
    return int(words[1][:3]) if known else 0


def classify(answer: bytes, upstream: str) -> Looks | None:
    """What a whole answer's body is to a client of this upstream. None: it is too large to be parsed."""
    _, _, body = answer.partition(b"\r\n\r\n")
    if len(body) > LOOKED_INTO_BYTES:
        return None
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return "no_json"
    return "offers" if f"-tg-{upstream}.".encode() in body else "no_offers"
