"""Who tries to connect while a listener is kept shut: the first attempt is seen, every later one refused."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable

from harness.rundir.canaries import Refused
from harness.rundir.planned.upstream import Endpoint, PlannedUpstream
from harness.stack.monitor.refusals import RefusedAttempts
from tests.rundir.recording import make_plan
from tests.toxiproxy.world import free_port


def azure(port: int) -> PlannedUpstream:
    return make_plan(upstreams=("azure",)).upstreams[0].model_copy(update={"listener": Endpoint(port=port)})


async def attempt(port: int) -> str:
    """How one connection ends: `refused`, `reset` or `open`."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:
        return "reset"
    try:
        await asyncio.wait_for(reader.read(1), 0.5)
    except ConnectionResetError:
        return "reset"
    except TimeoutError:
        return "open"
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return "closed"


def played(
    doing: Callable[[RefusedAttempts, PlannedUpstream], Awaitable[None]], own: Callable[[], Iterable[int]] = tuple
) -> list[Refused]:
    lines: list[Refused] = []

    async def play() -> None:
        refusals = RefusedAttempts(own, lines.append)
        try:
            await doing(refusals, azure(free_port()))
        finally:
            refusals.close_all()

    asyncio.run(play())
    return lines


def test_the_first_connection_is_reset_and_seen_and_the_others_are_refused() -> None:
    async def doing(refusals: RefusedAttempts, upstream: PlannedUpstream) -> None:
        refusals.open(upstream)
        assert await attempt(upstream.listener.port) == "reset"
        assert await attempt(upstream.listener.port) == "refused"

    (line,) = played(doing)
    assert (line.upstream, line.unseen) == ("azure", "")


def test_nobody_came_so_nothing_is_written_and_the_port_is_free_again() -> None:
    async def doing(refusals: RefusedAttempts, upstream: PlannedUpstream) -> None:
        refusals.open(upstream)
        refusals.close(upstream.name)
        with socket.create_server(("127.0.0.1", upstream.listener.port)):
            pass

    assert played(doing) == []


def test_a_canary_is_reset_and_ends_nothing() -> None:
    ports: list[int] = []

    async def doing(refusals: RefusedAttempts, upstream: PlannedUpstream) -> None:
        refusals.open(upstream)
        with socket.socket() as canary:
            canary.bind(("127.0.0.1", 0))
            canary.setblocking(False)
            ports.append(canary.getsockname()[1])
            loop = asyncio.get_running_loop()
            with contextlib.suppress(ConnectionResetError):
                await loop.sock_connect(canary, ("127.0.0.1", upstream.listener.port))
                assert await loop.sock_recv(canary, 1) == b""
        assert await attempt(upstream.listener.port) == "reset"

    assert len(played(doing, own=lambda: ports)) == 1


def test_each_window_is_watched_anew() -> None:
    async def doing(refusals: RefusedAttempts, upstream: PlannedUpstream) -> None:
        for _ in range(2):
            refusals.open(upstream)
            assert await attempt(upstream.listener.port) == "reset"
            refusals.close(upstream.name)

    assert len(played(doing)) == 2


def test_a_port_that_somebody_took_is_told() -> None:
    async def doing(refusals: RefusedAttempts, upstream: PlannedUpstream) -> None:
        with socket.create_server(("127.0.0.1", upstream.listener.port)):
            refusals.open(upstream)

    (line,) = played(doing)
    assert "Address already in use" in line.unseen
