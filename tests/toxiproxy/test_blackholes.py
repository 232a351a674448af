"""A listener that answers no attempt to connect: who tries hangs, is seen unless it is ours, and the port is free
again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from harness.rundir.canaries import Refused
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.stack.monitor.blackholes import SCAN_EVERY_S, Blackholes
from tests.rundir.recording import make_plan
from tests.toxiproxy.world import free_port, until


class OwnPorts:
    def __init__(self) -> None:
        self.open: set[int] = set()

    def opened(self, port: int) -> None:
        self.open.add(port)

    def closed(self, port: int) -> None:
        self.open.discard(port)

    def __call__(self) -> Iterable[int]:
        return tuple(self.open)


def azure(port: int) -> PlannedUpstream:
    return make_plan(upstreams=("azure",)).upstreams[0].model_copy(update={"listener": Endpoint(port=port)})


@contextlib.asynccontextmanager
async def trying(port: int) -> AsyncIterator[tuple[int, asyncio.Task[None]]]:
    """A client that tries to connect: its local port, and the attempt."""
    with socket.socket() as client:
        client.setblocking(False)
        client.bind(("127.0.0.1", 0))
        attempt = asyncio.ensure_future(asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port)))
        try:
            yield client.getsockname()[1], attempt
        finally:
            attempt.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await attempt


Doing = Callable[[Blackholes, PlannedUpstream, OwnPorts, list[Refused]], Awaitable[None]]


def play(doing: Doing) -> list[Refused]:
    lines: list[Refused] = []

    async def scene() -> None:
        own = OwnPorts()
        blackholes = Blackholes(own, lines.append)
        try:
            await doing(blackholes, azure(free_port()), own, lines)
        finally:
            blackholes.close_all()
        assert own.open == set()

    asyncio.run(scene())
    return lines


def test_who_connects_hangs_and_is_seen_once() -> None:
    async def doing(holes: Blackholes, upstream: PlannedUpstream, _own: OwnPorts, lines: list[Refused]) -> None:
        holes.open(upstream)
        holes.open(upstream)
        async with trying(upstream.listener.port) as (_, first), trying(upstream.listener.port) as (_, second):
            await until(lambda: bool(lines))
            await asyncio.sleep(2 * SCAN_EVERY_S)
            assert not first.done() and not second.done()

    (line,) = play(doing)
    assert (line.upstream, line.unseen) == ("azure", "")


def test_our_own_attempts_are_not_the_services() -> None:
    async def doing(holes: Blackholes, upstream: PlannedUpstream, own: OwnPorts, lines: list[Refused]) -> None:
        holes.open(upstream)
        async with trying(upstream.listener.port) as (port, attempt):
            own.opened(port)
            await asyncio.sleep(3 * SCAN_EVERY_S)
            assert not attempt.done() and len(own.open) == 2, "ours, and the one that fills the queue"
            own.closed(port)

    assert len(play(doing)) <= 1, "a look may fall between the bind and the note"


def test_the_port_is_free_at_once_and_a_client_that_waits_gets_in_by_its_next_try() -> None:
    async def doing(holes: Blackholes, upstream: PlannedUpstream, _own: OwnPorts, _lines: list[Refused]) -> None:
        holes.open(upstream)
        async with trying(upstream.listener.port) as (_, attempt):
            await asyncio.sleep(0.1)
            holes.close("azure")
            server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", upstream.listener.port)
            async with server:
                await asyncio.wait_for(attempt, 30)

    play(doing)


def test_a_port_that_cannot_be_taken_is_told() -> None:
    async def doing(holes: Blackholes, upstream: PlannedUpstream, _own: OwnPorts, _lines: list[Refused]) -> None:
        with socket.create_server(("127.0.0.1", upstream.listener.port)):
            holes.open(upstream)

    (line,) = play(doing)
    assert "in use" in line.unseen
