"""On the real server: a fault is lifted at once, although callers have hung up or break off amid an answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.rundir.journal import BorrowedJournal
from harness.rundir.planned.fault import PlannedToxic
from harness.stack.injection.borrowed import BorrowedProxy
from harness.toxiproxy.client import ToxiproxyClient
from tests.borrowed.test_injector import LEGACY, borrowing
from tests.toxiproxy.breaking_off import callers, origin
from tests.toxiproxy.world import free_port, latency, toxic

pytestmark = pytest.mark.stack
CALLERS = 40


@pytest.fixture
def in_pieces() -> Iterator[int]:
    """Answers each connection in three pieces, so that Toxiproxy holds back three."""
    server = socket.create_server(("127.0.0.1", 0), backlog=128)

    def answer(connection: socket.socket) -> None:
        with connection:
            for _ in range(3):
                connection.sendall(b"x" * 1000)
                time.sleep(0.05)
            connection.recv(1)

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with server:
        yield server.getsockname()[1]


def borrow(toxiproxy: ToxiproxyClient, folder: Path, listen: int, leads_to: int) -> tuple[BorrowedProxy, str]:
    """The proxy, and the prefix of the run's toxics."""
    toxiproxy.create_proxy(LEGACY, f"127.0.0.1:{listen}", f"127.0.0.1:{leads_to}")
    plan = borrowing()
    up = plan.upstream("azure")
    plan = plan.model_copy(
        update={"upstreams": (up.model_copy(update={"origin": up.origin.model_copy(update={"port": leads_to})}),)}
    )
    return BorrowedProxy.find(toxiproxy, BorrowedJournal(folder), plan, "azure"), plan.prefix


def test_callers_who_hung_up_do_not_hold_the_lifting_up(
    tmp_path: Path, toxiproxy: ToxiproxyClient, in_pieces: int
) -> None:
    listen = free_port()
    borrowed, prefix = borrow(toxiproxy, tmp_path, listen, in_pieces)
    before = toxiproxy.proxies()
    borrowed.add(f"{prefix}slow.0.0", latency())
    hung_up = [socket.create_connection(("127.0.0.1", listen)) for _ in range(CALLERS)]
    time.sleep(0.5)
    for caller in hung_up:
        caller.close()
    time.sleep(0.2)
    lifted_at_once(borrowed, prefix)
    assert toxiproxy.proxies() == before
    toxiproxy.delete_proxy(LEGACY)


@pytest.mark.parametrize(
    "trickle",
    [toxic("bandwidth", rate=10), toxic("slicer", average_size=1_000, delay=100_000)],
    ids=lambda each: each.type,
)
def test_callers_who_break_off_neither_hold_the_lifting_up_nor_end_the_server(
    tmp_path: Path, toxiproxy: ToxiproxyClient, trickle: PlannedToxic
) -> None:
    listen = free_port()
    with origin() as port:
        borrowed, prefix = borrow(toxiproxy, tmp_path, listen, port)
        before = toxiproxy.proxies()
        borrowed.add(f"{prefix}slow.0.0", trickle)
        with callers(listen):
            time.sleep(0.6)
            lifted_at_once(borrowed, prefix)
        assert toxiproxy.proxies() == before
        toxiproxy.delete_proxy(LEGACY)


def lifted_at_once(borrowed: BorrowedProxy, prefix: str) -> None:
    begin = time.monotonic()
    borrowed.take_off(prefix, stays_down=False)
    assert time.monotonic() - begin < 10
