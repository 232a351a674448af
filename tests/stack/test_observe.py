"""A probe's exchange over a real connection: whole, late, cut short, refused; and a protocol that is not HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from fake_backends.tls.run_ca import RunCertificates
from harness.rundir.canaries import Looks
from harness.rundir.planned.upstream import Endpoint
from harness.stack.monitor.observe import observe
from harness.stack.processes.own_tls import client_context
from harness.tls_channel import TlsChannel
from harness.upstreams.fake import Fake
from harness.upstreams.kinds import upstream_kinds
from harness.upstreams.probes import PROBES, Observation, Probe, probe_of
from tests.rundir.recording import make_plan

WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n["gpu-1x-tg-azure."]'
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Ports:
    """Every local port a probe used, and those still open."""

    used: list[int] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    def opened(self, port: int) -> None:
        self.used.append(port)
        self.open.add(port)

    def closed(self, port: int) -> None:
        self.open.remove(port)


class Greeting(Probe):
    """A protocol in which the server speaks first and the connection stays open: a line is all it asks for."""

    def __init__(self) -> None:
        self._line = b""

    @property
    def request(self) -> bytes:
        return b""

    @property
    def status(self) -> int:
        return 0

    @property
    def received(self) -> int:
        return len(self._line)

    def feed(self, data: bytes) -> bytes:
        self._line += data
        return b""

    @property
    def is_over(self) -> bool:
        return self._line.endswith(b"\n")

    @property
    def fault(self) -> str:
        return "" if self.is_over else "no greeting"

    def looks(self) -> Looks | None:
        return None


@contextlib.asynccontextmanager
async def served(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield Endpoint(port=server.sockets[0].getsockname()[1])
    finally:
        server.close()


def observed(serve: Serve, probe: Probe, deadline_ms: float = 2_000.0) -> tuple[Observation, Ports]:
    async def scene() -> tuple[Observation, Ports]:
        ports = Ports()
        async with served(serve) as listener:
            return await observe(probe, listener, deadline_ms, ports), ports

    return asyncio.run(scene())


def of_a_fake(*, reads_to_end: bool = True) -> Probe:
    return probe_of(make_plan().upstream("azure"), reads_to_end=reads_to_end)


def answers(*pieces: bytes, pause_s: float = 0.0, then_stays: bool = False) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            await asyncio.sleep(pause_s)
            writer.write(piece)
            await writer.drain()
        if then_stays:
            await reader.read()

    return serve


def test_every_kind_of_our_own_has_a_probe() -> None:
    assert {kind.KIND for kind in upstream_kinds() if issubclass(kind, Fake)} <= set(PROBES)


def test_a_whole_answer_is_ok_and_its_first_byte_has_a_time() -> None:
    seen, ports = observed(answers(WHOLE[:50], WHOLE[50:], pause_s=0.05), of_a_fake())
    assert (seen.outcome, seen.status, seen.looks, seen.bytes, seen.detail) == ("ok", 200, "offers", len(WHOLE), "")
    assert seen.sent_ns + 40_000_000 < seen.first_ns < seen.done_ns - 40_000_000
    assert len(ports.used) == 1
    assert not ports.open


def test_it_carries_the_canarys_mark_and_asks_for_the_close_only_if_it_waits_for_it() -> None:
    assert b"\r\nx-tailgate-canary: 1\r\n" in of_a_fake().request.lower()
    assert b"connection: close" in of_a_fake().request.lower()
    assert b"connection: keep-alive" in of_a_fake(reads_to_end=False).request.lower()


def test_a_connection_that_stays_open_ends_with_the_answer_or_is_held() -> None:
    stays = answers(WHOLE, then_stays=True)
    assert observed(stays, of_a_fake(reads_to_end=False))[0].outcome == "ok"
    held, ports = observed(stays, of_a_fake(), deadline_ms=200)
    assert (held.outcome, held.detail) == ("held", "no end of the answer within 200 ms")
    assert not ports.open


@pytest.mark.parametrize(
    ("pieces", "detail"),
    [
        ((WHOLE[:-3],), "cut short after 17 of 20 bytes"),
        ((), "closed without an answer"),
        ((b"hello there, this is no HTTP\r\n\r\n",), "not an HTTP answer"),
    ],
    ids=["cut", "nothing", "no HTTP"],
)
def test_an_answer_that_is_not_whole_has_failed(pieces: tuple[bytes, ...], detail: str) -> None:
    seen, _ = observed(answers(*pieces), of_a_fake())
    assert seen.outcome == "failed"
    assert detail in seen.detail
    assert seen.looks is None
    assert (seen.first_ns > 0) is bool(pieces)


def test_nothing_at_all_is_held_and_has_no_first_byte() -> None:
    seen, _ = observed(answers(then_stays=True), of_a_fake(), deadline_ms=100)
    assert (seen.outcome, seen.first_ns, seen.bytes, seen.detail) == ("held", 0, 0, "no answer within 100 ms")


def test_a_port_where_no_one_listens_has_failed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        listener = Endpoint(port=taken.getsockname()[1])
        ports = Ports()
        seen = asyncio.run(observe(of_a_fake(), listener, 1_000, ports))
    assert (seen.outcome, seen.detail) == ("failed", "Connection refused")
    assert not ports.open


def test_a_protocol_in_which_the_server_speaks_first_is_a_probe_as_well() -> None:
    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await writer.drain()
        await reader.read()

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220")
        await writer.drain()

    well, _ = observed(greets, Greeting())
    assert (well.outcome, well.bytes, well.status, well.looks) == ("ok", 11, 0, None)
    cut, _ = observed(hangs_up, Greeting())
    assert (cut.outcome, cut.detail) == ("failed", "no greeting")


def test_probes_bring_no_model_of_a_scenario_into_the_supervisor() -> None:
    users_models = "('harness.model.strict_model', 'harness.model.value_types')"
    program = f"import sys, harness.upstreams.probes\nprint([m for m in {users_models} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"


# ---------------------------------------------------------------- in TLS


def in_tls(serve: Serve, probe: Probe, deadline_ms: float = 5_000.0, *, speaks_tls: bool = True) -> Observation:
    """What a canary sees of a listener that terminates TLS, with a certificate that nobody trusts."""
    upstream = make_plan().upstream("azure").model_copy(update={"terminates_tls": True})

    async def scene() -> Observation:
        context = RunCertificates().server_context() if speaks_tls else None
        async with served(serve, context) as listener:
            return await observe(probe, listener, deadline_ms, Ports(), client_context(upstream))

    return asyncio.run(scene())


def test_in_tls_a_canary_counts_the_bytes_of_the_answer_and_not_those_of_the_handshake() -> None:
    seen = in_tls(answers(WHOLE[:50], WHOLE[50:], pause_s=0.05), of_a_fake())
    assert (seen.outcome, seen.status, seen.looks, seen.bytes, seen.detail) == ("ok", 200, "offers", len(WHOLE), "")
    assert seen.sent_ns + 40_000_000 < seen.first_ns < seen.done_ns - 40_000_000


def test_in_tls_an_answer_ends_with_itself_or_is_held() -> None:
    stays = answers(WHOLE, then_stays=True)
    assert in_tls(stays, of_a_fake(reads_to_end=False)).outcome == "ok"
    assert in_tls(stays, of_a_fake(), deadline_ms=500).outcome == "held"


def test_in_tls_the_canary_waits_for_the_close_of_the_connection_itself() -> None:
    """`slow_close` delays the close: an end of TLS that came in time must not hide that."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = TlsChannel(RunCertificates().server_context(), server_side=True)
        while not channel.shake():
            writer.write(channel.to_send())
            channel.received(await reader.read(65536))
        while not channel.read():
            writer.write(channel.to_send())
            channel.received(await reader.read(65536))
        channel.write(WHOLE)
        channel.end()
        writer.write(channel.to_send())
        await writer.drain()
        await asyncio.sleep(0.3)

    seen = in_tls(serve, of_a_fake(), speaks_tls=False)
    assert seen.outcome == "ok"
    assert seen.done_ns - seen.first_ns > 250_000_000


async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10_000)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10_000)
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10_000)
    writer.write(WHOLE)
    await writer.drain()


@pytest.mark.parametrize(
    ("serve", "detail"),
    [
        (cut, "TLS failed: UNEXPECTED_EOF_WHILE_READING"),
        (reset, "Connection reset by peer"),
        (plain, "TLS failed: "),
    ],
    ids=["cut", "reset", "plain"],
)
def test_a_handshake_that_does_not_come_to_its_end_has_failed(serve: Serve, detail: str) -> None:
    seen = in_tls(serve, of_a_fake(), speaks_tls=False)
    assert (seen.outcome, seen.first_ns, seen.bytes) == ("failed", 0, 0)
    assert seen.detail.startswith(detail)


def test_a_handshake_that_is_held_is_held() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)
        await asyncio.sleep(5)

    assert in_tls(silent, of_a_fake(), 200, speaks_tls=False).outcome == "held"
