"""What every probe owes, over real connections to a server: well, refusing, closing, cut, silent, another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, get_args

import pytest

from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import Endpoint
from harness.stack.monitor.observe import observe
from harness.upstreams.probes import Observation
from tests.protocols.test_probes import ALIVE, HTTP_ANSWER, TLS_ALERT, probe
from tests.stack.test_observe import Ports, served
from tests.toxiproxy.world import free_port

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

ALL: Final[tuple[ProtocolName, ...]] = get_args(ProtocolName)
SPEAKING: Final = tuple(protocol for protocol in ALL if protocol != "tcp")
ANSWERS: Final[dict[ProtocolName, tuple[bytes, ...]]] = {
    "http": ALIVE["http of any status below 500"].answers,
    "https": (TLS_ALERT,),
    "tls": (TLS_ALERT,),
    "grpc": ALIVE["grpc"].answers,
    "postgres": ALIVE["postgres asks for a password"].answers,
    "mysql": ALIVE["mysql switches, then denies"].answers,
    "redis": ALIVE["redis repeats"].answers,
    "kafka": ALIVE["kafka"].answers,
    "amqp": ALIVE["amqp"].answers,
    "tcp": (b"hello",),
}


def speaks(protocol: ProtocolName, *answers: bytes, then_closes: bool = False) -> Serve:
    """A server that waits for a word before each answer, unless it speaks first, and stays until the client leaves."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, answer in enumerate(answers):
            if protocol != "tcp" and (number or protocol != "mysql"):
                await reader.read(8_192)
            writer.write(answer)
            await writer.drain()
        while not then_closes and await reader.read(8_192):
            pass

    return serve


def seen(protocol: ProtocolName, serve: Serve, *, reads_to_end: bool = True, deadline_ms: float = 3_000) -> Observation:
    async def scene() -> Observation:
        ports = Ports()
        async with served(serve) as listener:
            found = await observe(probe(protocol, reads_to_end=reads_to_end), listener, deadline_ms, ports)
        assert len(ports.used) == 1
        assert not ports.open
        return found

    return asyncio.run(scene())


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("reads_to_end", [True, False])
@pytest.mark.parametrize("then_closes", [True, False])
def test_a_healthy_server_is_ok(protocol: ProtocolName, reads_to_end: bool, then_closes: bool) -> None:
    answers = ANSWERS[protocol]
    asked_to_close = protocol == "http" and reads_to_end
    serve = speaks(protocol, *answers, then_closes=then_closes or asked_to_close)
    found = seen(protocol, serve, reads_to_end=reads_to_end)
    assert (found.outcome, found.detail, found.bytes) == ("ok", "", sum(map(len, answers)))
    assert found.sent_ns < found.first_ns <= found.done_ns


@pytest.mark.parametrize("protocol", ALL)
def test_a_port_where_no_one_listens_is_refused(protocol: ProtocolName) -> None:
    found = asyncio.run(observe(probe(protocol), Endpoint(port=free_port()), 2_000, Ports()))
    assert (found.outcome, found.detail, found.bytes) == ("failed", "Connection refused", 0)


@pytest.mark.parametrize("protocol", ALL)
def test_a_server_that_closes_at_once_has_failed(protocol: ProtocolName) -> None:
    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError):  # reads first, so that the close is no reset
            await asyncio.wait_for(reader.read(8_192), 0.05)

    found = seen(protocol, closes)
    assert (found.outcome, found.first_ns) == ("failed", 0)
    assert found.detail == ("closed at once" if protocol == "tcp" else "closed without an answer")


@pytest.mark.parametrize("protocol", SPEAKING)
def test_an_answer_that_is_cut_has_failed(protocol: ProtocolName) -> None:
    *first, last = ANSWERS[protocol]
    found = seen(protocol, speaks(protocol, *first, last[:3], then_closes=True))
    assert found.outcome == "failed"
    assert "cut short" in found.detail or "not TLS" in found.detail or "not HTTP" in found.detail
    assert found.looks is None


@pytest.mark.parametrize("protocol", SPEAKING)
@pytest.mark.parametrize("words", ["none", "some"])
def test_a_server_that_falls_silent_is_held_to_the_deadline(protocol: ProtocolName, words: str) -> None:
    *first, last = ANSWERS[protocol]
    spoken = (*first, last[:2]) if words == "some" else ()
    found = seen(protocol, speaks(protocol, *spoken), deadline_ms=150)
    assert found.outcome == "held"
    assert found.detail == f"{'no end of the' if spoken else 'no'} answer within 150 ms"
    assert 140 < (found.done_ns - found.sent_ns) / 1e6 < 1_000


def test_of_an_unknown_protocol_silence_is_well() -> None:
    found = seen("tcp", speaks("tcp"))
    assert (found.outcome, found.bytes, found.first_ns) == ("ok", 0, 0)


@pytest.mark.parametrize("protocol", sorted(set(SPEAKING) - {"http"}))
def test_a_web_server_is_not_taken_for_it(protocol: ProtocolName) -> None:
    found = seen(protocol, speaks("tcp", HTTP_ANSWER))
    assert found.outcome == "failed"
    assert found.detail.endswith("the answer begins with HTTP/1.1")


@pytest.mark.parametrize("protocol", SPEAKING)
def test_an_answer_without_an_end_is_not_read_for_ever(protocol: ProtocolName) -> None:
    async def floods(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in ANSWERS[protocol]:
            writer.write(answer)
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    found = seen(protocol, floods, deadline_ms=5_000)
    assert found.outcome in ("failed", "held")
    assert found.bytes <= 9 << 20
