"""Backends that do not speak HTTP as they should, on real sockets: nothing but a BackendError comes of any."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from aggregator.backend_pipeline import AsksBackend
from aggregator.backends.pages import BackendError
from tests.aggregator.sockets import CLIENTS, response, say_and_close, served, spoken_to

pytestmark = pytest.mark.stack

BODY: Final = b'{"offers": [{"price": 1}], "next_cursor": null}'
GOOD: Final = response(BODY)
CHUNKED: Final = b"transfer-encoding: chunked"
WHOLE_CHUNK: Final = b"%x\r\n%b\r\n" % (len(BODY), BODY)

HOSTILE: Final = (
    # what is wrong, the answer, what comes of it
    ("closed before a byte", b"", "connection"),
    ("garbage", b"\x00\xff\xfe\x16\x03\x01\r\n\r\n", "connection"),
    ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n", "connection"),
    ("HTTP/2", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "connection"),
    ("no head", BODY, "connection"),
    ("half a status line", b"HTTP/1.", "connection"),
    ("a status in words", response(BODY, status=b"fine OK"), "connection"),
    ("status 99", response(BODY, status=b"099 Low"), "connection"),
    ("status 1000", response(BODY, status=b"1000 High"), "connection"),
    ("a reason that is no text", response(BODY, status=b"200 \xff\xfe"), "connection"),
    ("a header without a colon", response(BODY, b"nothing"), "connection"),
    ("a header's name that is not ASCII", response(BODY, "é: 1".encode()), "connection"),
    ("a header's value that is not ASCII", response(BODY, "x-é: é".encode("latin-1")), "connection"),
    ("a zero byte in a header", response(BODY, b"x: a\x00b"), "connection"),
    ("a header of 100 kB", response(BODY, b"x: " + b"x" * 100_000), "connection"),
    ("a thousand headers", response(BODY, *[b"x: x"] * 1000), "connection"),
    ("two lengths", response(BODY, b"content-length: 3", b"content-length: %d" % len(BODY)), "connection"),
    ("a length in words", response(BODY, b"content-length: all"), "connection"),
    ("a length below zero", response(BODY, b"content-length: -1"), "connection"),
    ("a length of 5,000 digits", response(BODY, b"content-length: " + b"9" * 5000), "connection"),
    ("a body cut short", response(BODY, b"content-length: 1000"), "connection"),
    ("chunks of no size", response(b"zz\r\n" + BODY, CHUNKED), "connection"),
    ("chunks of a size below zero", response(b"-5\r\n" + BODY, CHUNKED), "connection"),
    ("chunks of a size far below zero", response(b"-" + b"f" * 20 + b"\r\n" + BODY, CHUNKED), "connection"),
    ("a chunk of any size", response(b"f" * 16 + b"\r\n" + BODY, CHUNKED), "connection"),
    ("a chunk longer than it says", response(b"2\r\n" + BODY, CHUNKED), "connection"),
    ("chunks without an end", response(WHOLE_CHUNK, CHUNKED), "connection"),
    ("a redirect to no address", response(b"", b"location: http:9/[::1", status=b"302 Found"), "connection"),
    ("a redirect to no host", response(b"", b"location: :http://[::1", status=b"302 Found"), "connection"),
    ("a protocol switched", b"HTTP/1.1 101 Done\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", "http_101"),
    ("gzip that is none", response(BODY, b"content-encoding: gzip"), "bad_answer"),
    ("an encoding that is none", response(BODY, "content-encoding: é".encode()), "bad_answer"),
    ("a body in another charset", response(BODY.decode().encode("utf-16")), "bad_answer"),
    ("text that is not UTF-8", response(BODY.replace(b"1", b'"\xff"')), "bad_answer"),
    ("an unreadable Retry-After", response(b"", "retry-after: ²".encode(), status=b"429 Slow"), "http_429"),
    ("a cookie that is not ASCII", response(BODY, "set-cookie: é=é; path=/".encode()), "well"),
    ("a cookie that is none", response(BODY, b"set-cookie: ;=;", b"set-cookie: a=b; expires=x"), "well"),
    ("a charset nobody knows", response(BODY, b"content-type: application/json; charset=klingon"), "well"),
)
OTHERWISE: Final[dict[str, dict[str, str]]] = {
    "aiohttp": {},
    "httpx": {
        "a reason that is no text": "well",
        "a header of 100 kB": "well",
        "a thousand headers": "well",
        "a protocol switched": "connection",
    },
    "urllib3": {
        "a reason that is no text": "well",
        "a header without a colon": "well",
        "a header's name that is not ASCII": "well",
        "a header's value that is not ASCII": "well",
        "a zero byte in a header": "well",
        "a length in words": "well",
        "a length below zero": "well",
        "a length of 5,000 digits": "too_large",
        "a redirect to no address": "http_302",
        "a redirect to no host": "http_302",
    },
}
"""Where a client reads more out of it, or makes something else of it."""


@pytest.mark.parametrize("client", CLIENTS)
def test_only_a_backend_error_comes_of_it_and_the_next_answer_is_well(client: str) -> None:
    found = asyncio.run(what_comes_of_it(client))
    expected = {case: reason for case, _, reason in HOSTILE} | OTHERWISE[client]
    assert found == {case: (reason, "well") for case, reason in expected.items()}


async def what_comes_of_it(client: str) -> dict[str, tuple[str, str]]:
    """Of each: the answer itself, and the good one after it, by the same client."""
    answer = GOOD

    async def behave(writer: asyncio.StreamWriter) -> None:
        await say_and_close(writer, answer)

    found = {}
    async with served(behave) as azure, spoken_to(client, azure) as (backend,):
        for case, hostile, _ in HOSTILE:
            answer = hostile
            at_once = await outcome(backend)
            answer = GOOD
            found[case] = at_once, await outcome(backend)
    return found


async def outcome(backend: AsksBackend) -> str:
    try:
        return "well" if await backend.offers({}) == [{"price": 1}] else "other offers"
    except BackendError as error:
        assert str(error)
        return error.reason
