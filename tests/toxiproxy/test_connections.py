"""Who stands on a listener, by the system's own tables: clients counted, canaries and closed ones not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from harness.rundir.canaries import Connections
from harness.stack.monitor import connections
from harness.stack.monitor.connections import ConnectionMonitor, connected_to, pause_s, peers


@contextlib.contextmanager
def listener(family: socket.AddressFamily = socket.AF_INET, host: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    with socket.create_server((host, 0), family=family) as server:
        yield host, server.getsockname()[1]


def look(ports: dict[str, int], own: Iterable[int] = ()) -> list[Connections]:
    lines: list[Connections] = []
    asyncio.run(ConnectionMonitor(ports, lambda: own, lines.append).look())
    return lines


@pytest.mark.stack
def test_clients_are_counted_and_canaries_are_not() -> None:
    with listener() as azure, listener() as gcp, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(azure)) for _ in range(3)]
        assert [line.count for line in look({"azure": azure[1], "gcp": gcp[1]})] == [3, 0]
        canary_port = clients[0].getsockname()[1]
        assert [line.count for line in look({"azure": azure[1]}, own=[canary_port])] == [2]
        clients[1].close()
        assert [line.count for line in look({"azure": azure[1]}, own=[canary_port])] == [1]


def test_what_is_new_is_told_since_the_look_before() -> None:
    lines: list[Connections] = []

    async def watch(port: int, connect: Callable[[], object]) -> None:
        witness = ConnectionMonitor({"azure": port}, tuple, lines.append)
        await witness.look()
        await witness.look()
        connect()
        await witness.look()
        await witness.look()

    with listener() as azure, contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_connection(azure))
        asyncio.run(watch(azure[1], lambda: stack.enter_context(socket.create_connection(azure))))
    assert [(line.count, line.new) for line in lines] == [(1, 0), (1, 0), (2, 1), (2, 0)]
    assert lines[0].since_ns is None
    assert all(line.since_ns is not None and line.since_ns < line.t_ns for line in lines[1:])


@pytest.mark.stack
def test_a_fault_that_comes_is_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "INTERVAL_S", 60.0)

    async def watch(port: int) -> None:
        lines: asyncio.Queue[Connections] = asyncio.Queue()
        witness = ConnectionMonitor({"azure": port}, tuple, lines.put_nowait)
        running = asyncio.create_task(witness.run())
        for _ in range(3):
            await lines.get()
            witness.look_now()
        running.cancel()

    with listener() as azure:
        began_s = time.monotonic()
        asyncio.run(watch(azure[1]))
    assert time.monotonic() - began_s < 60, "the second and the third look did not wait for their turns"


def test_a_client_that_goes_around_the_proxy_is_not_on_the_listener() -> None:
    with listener() as proxy, listener() as backend, socket.create_connection(backend):
        assert [line.count for line in look({"azure": proxy[1]})] == [0]


def test_a_connection_to_the_same_port_of_another_host_is_not_ours() -> None:
    elsewhere = (("10.0.0.1", 50_000), ("10.9.9.9", 20_001))
    listening = (("127.0.0.1", 20_001), None)
    assert peers([listening, elsewhere], frozenset({20_001})) == {20_001: set()}


def test_a_toxiproxy_on_another_host_is_seen_from_the_connecting_side() -> None:
    elsewhere = (("10.0.0.1", 50_000), ("10.9.9.9", 20_001))
    assert peers([elsewhere], frozenset({20_001})) == {20_001: {("10.0.0.1", 50_000)}}


def test_a_client_that_spells_ipv4_as_ipv6_is_one_connection() -> None:
    with listener() as azure, socket.socket(socket.AF_INET6) as client:
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        client.connect(("::ffff:127.0.0.1", azure[1]))
        assert len(connected_to(frozenset({azure[1]}))[azure[1]]) == 1


def test_the_portable_way_sees_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with listener() as azure, socket.create_connection(azure) as client:
        expected = connected_to(frozenset({azure[1]}))
        assert len(expected[azure[1]]) == 1
        monkeypatch.setattr(connections, "_HOME", Path("/nowhere"))
        # process by process, so what nobody has accepted yet is missing: here the client's side tells
        rows = list(connections._psutil_rows())
        assert (client.getsockname(), azure) in rows
        assert (azure, None) in rows


def test_a_system_that_will_not_say_is_written_down_as_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "net" / "tcp").mkdir(parents=True)  # a folder cannot be read
    monkeypatch.setattr(connections, "_HOME", tmp_path)
    (line,) = look({"azure": 20_000})
    assert line.count is None
    assert "cannot be read" in line.detail


def test_looks_are_rarer_where_they_cost_much() -> None:
    assert pause_s(0.01) == pytest.approx(0.99)
    assert pause_s(0.2) == pytest.approx(4.0)


def test_a_caller_who_hung_up_is_seen_until_we_close_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        caller = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        with accepted:
            assert not connections.has_half_closed_peer(port)
            caller.close()
            accepted.settimeout(5)
            assert accepted.recv(1) == b""
            assert connections.has_half_closed_peer(port)
        assert not connections.has_half_closed_peer(port)
