"""The kernel's count of what a listener received on each connection, and what the monitor makes of it."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from harness.rundir.canaries import Connections
from harness.stack.monitor.connections import ConnectionMonitor
from harness.stack.monitor.received_bytes import received_by_peer

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the count is that of Linux"),
]


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as server:
        yield server


def client(listener: socket.socket, stack: ExitStack) -> socket.socket:
    made = stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
    stack.enter_context(listener.accept()[0])
    return made


def until(expected: dict[int, int], port: int) -> None:
    end = time.monotonic() + 20
    while (found := received_by_peer(port)) != expected:
        assert time.monotonic() < end, (found, expected)
        time.sleep(0.01)


def test_bytes_are_counted_by_connection_and_a_closing_is_none(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert received_by_peer(port) == {}
    with ExitStack() as stack:
        one, other = client(listener, stack), client(listener, stack)
        peers = [each.getsockname()[1] for each in (one, other)]
        one.sendall(b"x" * 1_234)
        until({peers[0]: 1_234, peers[1]: 0}, port)
        other.shutdown(socket.SHUT_WR)
        until({peers[0]: 1_234}, port)


def test_the_monitor_counts_what_the_service_sent_between_two_readings_and_no_canary(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    lines: list[Connections] = []
    with ExitStack() as stack:
        service, canary = client(listener, stack), client(listener, stack)
        own = (canary.getsockname()[1],)
        monitor = ConnectionMonitor({"db": port}, lambda: own, lines.append, counted=["db"])

        async def look(sent: bytes) -> int | None:
            service.sendall(sent)
            canary.sendall(b"y" * 50)
            await asyncio.sleep(0.05)
            await monitor.look()
            return lines[-1].received_bytes

        async def main() -> list[int | None]:
            return [await look(b"x" * size) for size in (10, 0, 70)]

        assert asyncio.run(main()) == [None, 0, 70]


def test_an_upstream_whose_calls_are_recorded_is_not_counted(listener: socket.socket) -> None:
    lines: list[Connections] = []
    monitor = ConnectionMonitor({"azure": listener.getsockname()[1]}, tuple, lines.append)

    async def main() -> None:
        await monitor.look()
        await monitor.look()

    asyncio.run(main())
    assert [line.received_bytes for line in lines] == [None, None]
