"""The three clients on real sockets: what each gives up on, sends, and keeps; they differ in nothing but this file's
parameter.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from aggregator.backends import pages
from aggregator.backends.pages import CURSOR_LENGTH_MAX, BackendError
from tests.aggregator.sockets import CLIENTS, answer, drip, hang, response, say_and_close, served, spoken_to

pytestmark = [pytest.mark.stack, pytest.mark.alone, pytest.mark.parametrize("client", CLIENTS)]

Behave = Callable[[asyncio.StreamWriter], Awaitable[None]]


def reason_for(behave: Behave, client: str, read_timeout_ms: float = 0) -> str:
    async def scenario() -> str:
        async with served(behave) as azure, spoken_to(client, azure, read_timeout_ms=read_timeout_ms) as (backend,):
            with pytest.raises(BackendError) as caught:
                await backend.offers({})
            await azure.until_open(0)
            return caught.value.reason

    return asyncio.run(scenario())


async def half_an_answer(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"offers": [')
    await asyncio.Event().wait()


@pytest.mark.parametrize("behave", [hang, half_an_answer])
def test_a_read_timeout_ends_a_call_that_hangs_and_its_connection(client: str, behave: Behave) -> None:
    assert reason_for(behave, client, read_timeout_ms=150) == "read_timeout"


def test_a_read_timeout_never_ends_one_that_drips(client: str) -> None:
    """The lesson: after three read timeouts of 0.5 s it still waits, since a byte came each 0.05."""

    async def scenario() -> None:
        async with served(drip) as azure, spoken_to(client, azure, read_timeout_ms=500) as (backend,):
            call = asyncio.create_task(backend.offers({}))
            done, _ = await asyncio.wait([call], timeout=1.5)
            assert not done
            assert azure.open == 1
            call.cancel()
            await asyncio.wait([call])

    asyncio.run(scenario())


def test_cookies_are_neither_kept_nor_sent_to_others(client: str) -> None:
    async def set_a_cookie(writer: asyncio.StreamWriter) -> None:
        await say_and_close(writer, response(b'{"offers": []}', b"set-cookie: session=of-azure; path=/"))

    async def scenario() -> None:
        async with served(set_a_cookie) as azure, served(answer) as gcp, spoken_to(client, azure, gcp) as (one, other):
            for backend in (one, other, one):
                await backend.offers({})
            heads = azure.asked + gcp.asked
            assert len(heads) == 3
            assert [head for head in heads if b"cookie" in head.lower()] == []

    asyncio.run(scenario())


def test_it_asks_for_what_it_can_bound(client: str) -> None:
    async def scenario() -> None:
        async with served(answer) as gcp, spoken_to(client, gcp) as (backend,):
            await backend.offers({"x-request-id": "a"})
            lines = gcp.asked[0].lower().split(b"\r\n")
            assert {b"user-agent: aggregator", b"accept-encoding: identity", b"x-request-id: a"} <= set(lines)

    asyncio.run(scenario())


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_without_end_is_given_up_at_the_limit(
    client: str, declared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES_MAX", 100_000)

    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + (b"content-length: 100001\r\n\r\n" if declared else b"\r\n"))
        while not declared:
            writer.write(b" " * 10_000)
            await writer.drain()
        await asyncio.Event().wait()

    assert reason_for(flood, client) == "too_large"


@pytest.mark.parametrize("body", [b"busy", b""])
def test_a_connection_is_used_again_after_a_failure(client: str, body: bytes) -> None:
    async def busy(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\ncontent-length: %d\r\n\r\n" % len(body))
        await writer.drain()
        writer.write(body)
        await writer.drain()

    async def scenario() -> None:
        async with served(busy) as azure, spoken_to(client, azure) as (backend,):
            for _ in range(3):
                with pytest.raises(BackendError, match="answered 503"):
                    await backend.offers({})
            assert (len(azure.asked), azure.opened) == (3, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("cursor", ["a b&c=d/é?#%2F+", "\x00\r\n\x7f", "", "😀" * CURSOR_LENGTH_MAX])
def test_a_cursor_arrives_as_it_was_given(client: str, cursor: str) -> None:
    bodies = iter([{"offers": [], "next_cursor": cursor}, {"offers": [{"price": 1}]}])

    async def two_pages(writer: asyncio.StreamWriter) -> None:
        await say_and_close(writer, response(json.dumps(next(bodies)).encode()))

    async def scenario() -> None:
        async with served(two_pages) as azure, spoken_to(client, azure) as (backend,):
            assert await backend.offers({}) == [{"price": 1}]
            target = azure.asked[1].split()[1].decode()
            assert parse_qs(urlsplit(target).query, keep_blank_values=True) == {"cursor": [cursor]}

    asyncio.run(scenario())
