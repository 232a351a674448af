"""The byte proxy, in all combinations of plain and TLS: what a client sees through it is what the origin did."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from fake_backends.tls import stream_proxy
from fake_backends.tls.run_ca import RunCertificates
from fake_backends.tls.stream_proxy import StreamProxy, serve
from harness.rundir.planned.forwarding import StreamSpec
from harness.tls_channel import TlsChannel
from tests.fake_backends.tls.certificates import certificates, listening, port_of, served, trusting

SIDES = [(False, False), (True, False), (False, True), (True, True)]
NAMES = ["plain-plain", "tls-plain", "plain-tls", "tls-tls"]
PATIENCE_S = 20.0
Told = list[tuple[str, str]]


@dataclass(slots=True)
class Talk:
    """A client's connection, with a half-close, which asyncio's own TLS cannot do."""

    sock: socket.socket
    tls: TlsChannel | None

    async def shake(self) -> None:
        while self.tls and not self.tls.shake():
            await self._flush()
            self.tls.received(await asyncio.get_running_loop().sock_recv(self.sock, 65536))
        await self._flush()

    async def send(self, data: bytes) -> None:
        if self.tls:
            self.tls.write(data)
            await self._flush()
        else:
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def end(self) -> None:
        if self.tls:
            self.tls.end()
            await self._flush()
        else:
            self.sock.shutdown(socket.SHUT_WR)

    async def receive(self) -> bytes:
        loop = asyncio.get_running_loop()
        if self.tls is None:
            return await loop.sock_recv(self.sock, 65536)
        while (data := self.tls.read()) is None:
            self.tls.received(await loop.sock_recv(self.sock, 65536))
        return data

    async def rest(self) -> bytes:
        found = bytearray()
        while data := await self.receive():
            found += data
        return bytes(found)

    async def _flush(self) -> None:
        if self.tls and (pending := self.tls.to_send()):
            await asyncio.get_running_loop().sock_sendall(self.sock, pending)


@contextlib.asynccontextmanager
async def proxied(
    port: int, client_tls: bool, origin_tls: bool, *, told: Told | None = None
) -> AsyncIterator[tuple[StreamProxy, int]]:
    """A proxy in front of that port; yields it and its own port. No task of it is left in the end."""
    before = asyncio.all_tasks()
    with listening() as listener:
        proxy = await serve(
            listener,
            StreamSpec(host="127.0.0.1", port=port, originates=origin_tls),
            server_context=certificates().server_context(()) if client_tls else None,
            client_context=trusting(certificates()) if origin_tls else None,
            server_name="pay.example",
            tell=lambda kind, text: told.append((kind, text)) if told is not None else None,
        )
        try:
            yield proxy, port_of(listener)
        finally:
            await proxy.close()
            await proxy.close()
            assert {task for task in asyncio.all_tasks() if "stream_proxy" in repr(task.get_coro())} <= before
            assert proxy.open == 0


@contextlib.asynccontextmanager
async def talking(port: int, in_tls: bool, context: ssl.SSLContext | None = None) -> AsyncIterator[Talk]:
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        talk = Talk(sock, TlsChannel(context or trusting(certificates()), server_name="127.0.0.1") if in_tls else None)
        await talk.shake()
        yield talk


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scene()

    asyncio.run(bounded())


async def echo_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"you said " + await reader.readline())
    await writer.drain()


@pytest.mark.parametrize(("client_tls", "origin_tls"), SIDES, ids=NAMES)
def test_both_directions_are_carried_and_the_end_is_passed_on(client_tls: bool, origin_tls: bool) -> None:
    async def scene() -> None:
        context = certificates().server_context(()) if origin_tls else None
        async with (
            served(echo_line, context) as origin,
            proxied(origin, client_tls, origin_tls) as (_, port),
            talking(port, client_tls) as talk,
        ):
            await talk.send(b"PING\n")
            assert await talk.rest() == b"you said PING\n"

    run(scene)


@pytest.mark.parametrize("client_tls", [False, True], ids=["plain", "tls"])
def test_a_client_that_has_ended_its_direction_still_gets_the_answer(client_tls: bool) -> None:
    async def answer_after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = await reader.read()
        writer.write(b"%d bytes" % len(heard))
        await writer.drain()

    async def scene() -> None:
        async with (
            served(answer_after_the_end, None) as origin,
            proxied(origin, client_tls, False) as (_, port),
            talking(port, client_tls) as talk,
        ):
            await talk.send(b"x" * 1000)
            await talk.end()
            assert await talk.rest() == b"1000 bytes"

    run(scene)


@pytest.mark.parametrize(("client_tls", "origin_tls"), SIDES, ids=NAMES)
def test_much_passes_unchanged_and_a_slow_receiver_holds_up_the_sender(client_tls: bool, origin_tls: bool) -> None:
    sent = 0
    whole = 24_000_000

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        piece = bytes(range(250)) * 400
        while sent < whole:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)

    async def scene() -> None:
        context = certificates().server_context(()) if origin_tls else None
        async with (
            served(pour, context) as origin,
            proxied(origin, client_tls, origin_tls) as (_, port),
            talking(port, client_tls) as talk,
        ):
            seen = -1
            while seen != sent:  # until nothing more is taken from the origin
                seen = sent
                await asyncio.sleep(0.2)
            assert sent < whole  # the rest waits at the origin: it is in no buffer of the proxy
            got = await talk.rest()
            assert len(got) == whole
            assert got == bytes(range(250)) * (whole // 250)

    run(scene)


@pytest.mark.parametrize("client_tls", [False, True], ids=["plain", "tls"])
def test_what_the_origin_refuses_is_reset_before_any_handshake(client_tls: bool) -> None:
    told: Told = []

    async def scene() -> None:
        with listening() as nobody:
            closed = port_of(nobody)
        async with proxied(closed, client_tls, False, told=told) as (_, port):
            with pytest.raises(ConnectionResetError):
                async with talking(port, client_tls) as talk:
                    await talk.receive()

    run(scene)
    assert told == [("no_connection", "refused the connection")]


def test_a_reset_of_the_origin_is_a_reset_for_the_client() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def scene() -> None:
        async with (
            served(reset, None) as origin,
            proxied(origin, True, False) as (_, port),
            talking(port, True) as talk,
        ):
            await talk.send(b"x\n")
            with pytest.raises(ConnectionResetError):
                await talk.receive()

    run(scene)


def test_an_origin_that_ends_without_saying_so_ends_the_client_the_same_way() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        await asyncio.sleep(0.05)
        sock: socket.socket = writer.get_extra_info("socket")
        socket.socket.shutdown(sock._sock, socket.SHUT_WR)  # type: ignore[attr-defined]

    async def scene() -> None:
        context = certificates().server_context(())
        async with (
            served(cut, context) as origin,
            proxied(origin, True, True) as (_, port),
            talking(port, True) as talk,
        ):
            await talk.send(b"x\n")
            assert await talk.rest() == b"x\n"
            assert talk.tls is not None and talk.tls.was_cut

    run(scene)


def test_a_certificate_of_the_origin_that_does_not_fit_is_a_reset() -> None:
    told: Told = []

    async def scene() -> None:
        stranger = RunCertificates(["pay.example"]).server_context(())
        async with served(echo_line, stranger) as origin, proxied(origin, False, True, told=told) as (_, port):
            with pytest.raises(ConnectionResetError):
                async with talking(port, False) as talk:
                    await talk.receive()

    run(scene)
    assert told == [("no_connection", "failed in TLS: CERTIFICATE_VERIFY_FAILED")]


def test_handshakes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_proxy, "CLIENT_HANDSHAKE_S", 0.1)

    async def scene() -> None:
        async with (
            served(echo_line, None) as origin,
            proxied(origin, True, False) as (proxy, port),
            talking(port, False) as silent,
        ):
            with pytest.raises(ConnectionResetError):
                await silent.receive()
            assert proxy.open == 0

    run(scene)


def test_no_more_connections_are_open_than_allowed_and_the_others_are_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_proxy, "OPEN_MOST", 2)
    told: Told = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)

    async def scene() -> None:
        async with (
            served(hold, None) as origin,
            proxied(origin, False, False, told=told) as (proxy, port),
            talking(port, False) as one,
            talking(port, False) as two,
        ):
            for each in (one, two):
                await each.send(b"x\n")
                assert await each.receive() == b"x\n"
            with pytest.raises(ConnectionResetError):
                async with talking(port, False) as third:
                    await third.receive()
            assert proxy.open == 2
            await one.end()
            assert await one.rest() == b""
            for _ in range(500):
                if proxy.open < 2:
                    break
                await asyncio.sleep(0.01)
            async with talking(port, False) as fourth:
                await fourth.send(b"y\n")
                assert await fourth.receive() == b"y\n"

    run(scene)
    assert told == [("too_many", "2")]


def test_a_proxy_that_is_closed_ends_its_connections() -> None:
    async def scene() -> None:
        async with (
            served(echo_line, None) as origin,
            proxied(origin, False, False) as (proxy, port),
            talking(port, False) as talk,
        ):
            for _ in range(500):
                if proxy.open:
                    break
                await asyncio.sleep(0.01)
            assert proxy.open == 1
            await proxy.close()
            assert await talk.receive() == b""

    run(scene)
