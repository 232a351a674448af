"""What the service sees of a real origin through the forwarder, without a fault."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from harness.correlation import run_hash, traceparent
from harness.rundir.rows import FLAG_ORIGIN_FAILED
from tests.fake_backends.forwarding.forwarding_rig import (
    RUN_ID,
    Origin,
    Script,
    answers,
    finish,
    ok,
    rig,
    until,
)

pytestmark = pytest.mark.stack

JSON = ok(b'{"rates":[1,2]}', "content-type: application/json")


def test_a_call_reaches_the_origin_as_the_service_sent_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(ok(b"hello", "x-a: 1", "x-a: 2", "keep-alive: 5"))) as it:
            got = await it.get(
                "/v1/a%2Fb%20c?x=%C3%A4&y", "X-Key: k", "X-Tailgate-Seq: 4", "te: trailers", "x-hop: 1",
                f"traceparent: {traceparent(run_hash(RUN_ID), 4)}",
            )  # fmt: skip
            assert got.startswith(b"HTTP/1.1 200 OK\r\n") and got.endswith(b"\r\n\r\nhello")
            assert b"x-a: 1\r\nx-a: 2\r\n" in got and b"keep-alive: 5" not in got
            ((_, head),) = it.origin.requests
            lines = head.decode().split("\r\n")
            assert lines[0] == "GET /v1/a%2Fb%20c?x=%C3%A4&y HTTP/1.1"
            assert sorted(line.lower() for line in lines[1:-2]) == [
                f"host: 127.0.0.1:{it.origin.port}",
                "x-hop: 1",
                "x-key: k",
            ]
            (row,) = it.rows()
            assert (row["seq"], row["status"], row["bytes"], row["faults"], row["flags"]) == (4, 200, 5, 0, 0)
            assert row["arrived_ns"] <= row["due_ns"] <= row["first_ns"] <= row["done_ns"]

    finish(main())


def test_a_trace_of_the_service_itself_is_passed_on(tmp_path: Path) -> None:
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def main() -> None:
        async with rig(tmp_path, answers(JSON)) as it:
            await it.get("/", f"traceparent: {own}")
            assert own.encode() in it.origin.requests[0][1]

    finish(main())


def test_connections_of_both_sides_live_and_end_together(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(JSON, JSON, ok(b"", "connection: close"))) as it:
            request = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
            reader, writer = await it.raw(request)
            for _ in range(2):
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"connection: close" not in head
                await reader.readexactly(len(b'{"rates":[1,2]}'))
                writer.write(request)
            assert b"connection: close" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.read() == b""
            assert [number for number, _ in it.origin.requests] == [1, 1, 1]
            writer.close()
            # another connection of the service: the origin sees another one, and its end
            reader, writer = await it.raw(request)
            await reader.readuntil(b"2]}")
            assert (it.origin.connections, it.origin.open_now) == (2, 1)
            writer.close()
            await until(lambda: not it.origin.open_now)

    finish(main())


def test_an_origin_that_ends_an_idle_connection_ends_that_of_the_service(tmp_path: Path) -> None:
    def hasty(origin: Origin) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await origin.head(reader, origin.connections)
            writer.write(JSON)
            await writer.drain()
            await asyncio.sleep(0.1)

        return script

    async def main() -> None:
        async with rig(tmp_path, hasty) as it:
            reader, writer = await it.raw(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"connection: close" not in await reader.readuntil(b"2]}")
            assert await reader.read() == b""
            writer.close()
            assert not it.noticed()

    finish(main())


@pytest.mark.parametrize(
    ("sent", "got_end"),
    [
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-t: 1\r\n\r\n",
            b"abc\r\n2\r\nde\r\n0\r\n\r\n",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"\r\n\r\n"),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 700\r\netag: x\r\n\r\n", b"\r\n\r\n"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + ok(b"x"), b"\r\n\r\nx"),
        (b"HTTP/1.1 302 Found\r\nlocation: /next\r\ncontent-length: 0\r\n\r\n", b"\r\n\r\n"),
    ],
)
def test_every_framing_of_an_answer(tmp_path: Path, sent: bytes, got_end: bytes) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(sent)) as it:
            assert (await it.get()).endswith(got_end)
            assert not it.noticed()

    finish(main())


def test_a_body_that_the_end_of_the_connection_ends(tmp_path: Path) -> None:
    def old(origin: Origin) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await origin.head(reader, 1)
            writer.write(b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nall of it")
            await writer.drain()

        return script

    async def main() -> None:
        async with rig(tmp_path, old) as it:
            got = await it.get()
            assert b"all of it" in got and got.endswith(b"0\r\n\r\n")

    finish(main())


def test_head_requests_and_bodies_towards_the_origin(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n", JSON)) as it:
            got = await it.get(method="HEAD")
            assert b"content-length: 12" in got and got.endswith(b"\r\n\r\n")
        async with rig(tmp_path, answers(JSON)) as it:
            body = b"p" * 100
            request = b"POST /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n"
            assert (await it.once(request + body)).endswith(b"2]}")
            assert b"content-length: 100" in it.origin.requests[0][1]

    finish(main())


def test_a_chunked_body_towards_the_origin(tmp_path: Path) -> None:
    heard = bytearray()

    def listens(origin: Origin) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await origin.head(reader, 1)
            while not heard.endswith(b"0\r\n\r\n"):
                heard.extend(await reader.read(1000))
            writer.write(JSON)
            await writer.drain()

        return script

    async def main() -> None:
        async with rig(tmp_path, listens) as it:
            head = b"PUT /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
            reader, writer = await it.raw(head + b"3\r\nabc\r\n")
            await asyncio.sleep(0.05)
            writer.write(b"2\r\nde\r\n0\r\n\r\n")
            assert (await reader.read()).endswith(b"2]}")
            writer.close()
        assert b"".join(heard[i : i + 1] for i in range(len(heard))).startswith(b"3\r\nabc\r\n2\r\nde\r\n")

    finish(main())


def test_redirects_to_the_origin_lead_to_the_listener_and_other_links_are_counted(tmp_path: Path) -> None:
    async def main() -> None:
        def made(origin: Origin) -> Script:
            here = f"http://127.0.0.1:{origin.port}"
            return answers(
                f"HTTP/1.1 302 Found\r\nlocation: {here}/next?a=b\r\ncontent-length: 0\r\n\r\n".encode(),
            )(origin)

        async with rig(tmp_path, made) as it:
            assert f"location: http://127.0.0.1:{it.port}/next?a=b\r\n".encode() in await it.get()
            assert not it.noticed()
        elsewhere = b"HTTP/1.1 302 Found\r\nlocation: https://login.example/x\r\ncontent-length: 0\r\n\r\n"
        async with rig(tmp_path, answers(elsewhere)) as it:
            assert b"location: https://login.example/x\r\n" in await it.get()
            assert [(note.kind, note.calls) for note in it.noticed()] == [("redirect", 1)]

        def paged(origin: Origin) -> Script:
            return answers(
                ok(
                    json.dumps({"next": f"http://127.0.0.1:{origin.port}/2"}).replace("/", "\\/").encode(),
                    "content-type: application/json",
                )
            )(origin)

        async with rig(tmp_path, paged) as it:
            for _ in range(2):
                await it.get()
            ((kind, text, calls),) = [(note.kind, note.text, note.calls) for note in it.noticed()]
            assert (kind, text, calls) == ("link", f"http://127.0.0.1:{it.origin.port}", 2)

        def linked(origin: Origin) -> Script:
            here = f"http://127.0.0.1:{origin.port}"
            body = json.dumps({"next": f"{here}/2"}).encode()
            return answers(ok(body, "content-type: application/json", f'link: <{here}/2>; rel="next"'))(origin)

        async with rig(tmp_path, linked) as it:
            await it.get()
            assert [(note.kind, note.text, note.calls) for note in it.noticed()] == [
                ("link", f"http://127.0.0.1:{it.origin.port}", 1)
            ]

    finish(main())


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "answered with something else than HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc", "closed the connection within an answer"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc", "closed the connection within an answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "closed the connection within an answer"),
    ],
)
def test_an_origin_that_breaks_off_breaks_the_call_off(tmp_path: Path, sent: bytes, kind: str) -> None:
    def broken(origin: Origin) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await origin.head(reader, 1)
            writer.write(sent)
            await writer.drain()

        return script

    async def main() -> None:
        async with rig(tmp_path, broken) as it:
            got = await it.get()
            assert not got or (got.startswith(b"HTTP/1.1 200") and not got.endswith(b"0\r\n\r\n"))
            (note,) = it.noticed()
            assert note.kind == "no_answer" and note.text.startswith(kind)
            (row,) = it.rows()
            assert (row["status"], row["flags"]) == (502, FLAG_ORIGIN_FAILED)

    finish(main())


def test_an_origin_that_refuses_resets_the_call(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, None) as it:
            with pytest.raises(ConnectionResetError):
                await it.get()
            assert [(note.kind, note.text) for note in it.noticed()] == [("no_answer", "refused the connection")]

    finish(main())


def test_a_client_that_leaves_ends_the_call_at_the_origin(tmp_path: Path) -> None:
    def silent(origin: Origin) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await origin.head(reader, 1)
            await reader.read()

        return script

    async def main() -> None:
        async with rig(tmp_path, silent) as it:
            _, writer = await it.raw(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await until(lambda: it.origin.requests)
            writer.close()
            await until(lambda: not it.origin.open_now)
            (row,) = it.rows()
            assert (row["status"], row["flags"]) == (0, 0)
            assert not it.noticed()

    finish(main())


def test_upgrades_tunnels_and_other_hosts_are_refused_and_counted(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(JSON)) as it:
            assert (await it.get("/ws", "upgrade: websocket", "connection: upgrade")).startswith(b"HTTP/1.1 501 ")
            assert (await it.get("http://other.example/x")).startswith(b"HTTP/1.1 501 ")
            assert not it.origin.requests
            assert it.unmatched() == [("GET", "/ws", 501, 1), ("GET", "/x", 501, 1)]

    finish(main())


def test_canaries_never_reach_the_origin(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, answers(JSON)) as it:
            assert b"-tg-pay." in await it.get("/offers", "x-tailgate-canary: 1")
            assert not it.origin.connections

    finish(main())
