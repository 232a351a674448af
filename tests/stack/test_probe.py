"""Readiness: what counts as an answer, and how long is long enough."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness.stack.process_spec import ProcessSpec
from harness.stack.processes import probe
from harness.stack.processes.process import ChildProcess

Served = Callable[[str], Awaitable[object]]


def _against(answer: bytes, scene: Served, *, after: int = 0) -> object:
    """Run a scene against a server that gives `answer` from the `after`-th connection on, and 503 before."""
    seen = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer if seen >= after else b"HTTP/1.1 503 Not Yet\r\nContent-Length: 0\r\n\r\n")
        seen += 1
        await writer.drain()
        writer.close()

    async def run() -> object:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            return await scene(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/healthz?x=1")

    return asyncio.run(run())


def test_an_answer_is_read_whole() -> None:
    got = _against(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nbody", probe.get)
    assert got == probe.ProbeAnswer(200, b"body", whole=True)


def test_it_sends_the_headers_it_is_given() -> None:
    heads: list[bytes] = []

    async def scene() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await probe.get(f"http://me@127.0.0.1:{port}/x?y=1", method="HEAD", headers={"Authorization": "Bearer t"})
        assert heads[0].startswith(b"HEAD /x?y=1 HTTP/1.1\r\n")
        assert b"\r\nAuthorization: Bearer t\r\n" in heads[0]
        assert f"\r\nHost: 127.0.0.1:{port}\r\n".encode() in heads[0]

    asyncio.run(scene())


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MEGABYTE = b"x" * (1 << 20)


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody", (200, b"body", False)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody and more", (200, b"body", True)),
        (CHUNKED + b"4\r\nbody\r\n0\r\n\r\n", (200, b"body", True)),
        (CHUNKED + b"4\r\nbody\r\n", (200, b"body", False)),
        (CHUNKED + b"4\r\nbody\r\nrubbish\r\n", (200, b"body", False)),
        (b"HTTP/1.1 200 OK\r\nX: ", (200, b"", False)),
        (b"HTTP/1.1 200 OK\r\n\r\n" + MEGABYTE, (200, MEGABYTE, True)),
        (b"HTTP/1.1 200 OK\r\n\r\n" + MEGABYTE + b"x", (200, MEGABYTE, False)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + 2 * MEGABYTE, (200, MEGABYTE, False)),
        (b"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n", (302, b"", True)),
    ],
    ids=["short", "long", "chunked", "no-last-chunk", "bad-chunk", "no-head", "a-megabyte", "more", "huge", "redirect"],
)
def test_an_answer_is_whole_or_cut(answer: bytes, got: tuple[int, bytes, bool]) -> None:
    found = _against(answer, probe.get)
    assert isinstance(found, probe.ProbeAnswer)
    assert (found.status, found.whole, len(found.body)) == (got[0], got[2], len(got[1]))
    assert found.body == got[1]


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", "GET"),
        (CHUNKED + b"4\r\nbody\r\n0\r\n\r\n", "GET"),
        (CHUNKED + b"rubbish\r\n", "GET"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "HEAD"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "GET"),
        (b"J\x00\x00\x00\x0a8.0.36\x00\x08", "GET"),
    ],
    ids=["length", "chunked", "bad-chunk", "no-content", "head", "ssh", "mysql"],
)
def test_a_server_that_keeps_the_connection_open_is_not_waited_for(answer: bytes, method: str) -> None:
    async def scene() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await reader.read()  # until the caller has gone
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            if answer.startswith(b"HTTP"):
                assert (await probe.get(url, method=method, timeout_s=30)).status in (200, 204)
                return
            with pytest.raises(ValueError, match="the answer is not HTTP"):
                await probe.get(url, method=method, timeout_s=30)

    begin = time.monotonic()
    asyncio.run(scene())
    assert time.monotonic() - begin < 20


def test_its_own_headers_give_way_to_those_it_is_given_except_that_it_closes() -> None:
    heads: list[bytes] = []

    async def scene() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await probe.get(url, headers={"host": "api.test", "USER-AGENT": "me", "connection": "keep-alive"})

    asyncio.run(scene())
    assert sorted(heads[0].split(b"\r\n")) == sorted(
        [b"GET / HTTP/1.1", b"host: api.test", b"USER-AGENT: me", b"Accept: */*", b"Connection: close", b"", b""]
    )


def test_a_header_that_http_cannot_send_is_the_reason_and_its_value_is_not_shown() -> None:
    async def scene(url: str) -> float:
        return await probe.until_answered(url, within_s=0.1, headers={"Authorization": "s3cret\nX: y"})

    with pytest.raises(probe.NotReady, match="cannot be sent") as caught:
        _against(b"HTTP/1.1 204 No Content\r\n\r\n", scene)
    assert "s3cret" not in str(caught.value)


def test_it_asks_until_the_answer_is_good() -> None:
    async def scene(url: str) -> float:
        return await probe.until_answered(url, within_s=30)

    took_ms = _against(b"HTTP/1.1 204 No Content\r\n\r\n", scene, after=3)
    assert isinstance(took_ms, float) and took_ms >= 3 * probe.PAUSE_S * 1000


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 500 Oh\r\n\r\n", "answered 500"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is not HTTP"),
        (b"", "the answer is not HTTP"),
    ],
)
def test_time_being_up_says_what_was_met_last(answer: bytes, why: str) -> None:
    async def scene(url: str) -> float:
        return await probe.until_answered(url, within_s=1.0)

    with pytest.raises(probe.NotReady, match=why):
        _against(answer, scene)


def test_an_attempt_that_our_own_end_cuts_short_does_not_hide_what_was_met_before() -> None:
    async def scene() -> None:
        seen = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal seen
            await reader.readuntil(b"\r\n\r\n")
            seen += 1
            if seen == 1:
                writer.write(b"HTTP/1.1 503 Not Yet\r\nContent-Length: 0\r\n\r\n")
            else:  # silent until the caller has gone
                await reader.read()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await probe.until_answered(f"http://127.0.0.1:{port}/", within_s=2.0)

    with pytest.raises(probe.NotReady, match="answered 503"):
        asyncio.run(scene())


def test_nobody_listening_is_said() -> None:
    with pytest.raises(probe.NotReady, match="connection refused"):
        asyncio.run(probe.until_answered("http://127.0.0.1:1/", within_s=0.1))


def test_a_child_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    async def scene() -> None:
        spec = ProcessSpec(
            "kid", (sys.executable, "-c", "raise SystemExit(7)"), dict(os.environ), tmp_path, tmp_path / "log"
        )
        await probe.until_answered("http://127.0.0.1:1/", within_s=30, child=ChildProcess.start(spec))

    begin = time.monotonic()
    with pytest.raises(probe.NotReady, match="exit code 7"):
        asyncio.run(scene())
    assert time.monotonic() - begin < 25
