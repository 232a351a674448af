"""On the real server: a delay is lifted at once, although callers who have hung up left answers in several pieces."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.rundir.journal import BorrowedJournal
from harness.stack.injection.borrowed import BorrowedProxy
from harness.toxiproxy.client import ToxiproxyClient
from tests.borrowed.test_injector import LEGACY, borrowing
from tests.toxiproxy.world import free_port, latency

pytestmark = pytest.mark.stack
CALLERS = 40


@pytest.fixture
def origin() -> Iterator[int]:
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


def test_callers_who_hung_up_do_not_hold_the_lifting_up(
    tmp_path: Path, toxiproxy: ToxiproxyClient, origin: int
) -> None:
    listen = free_port()
    toxiproxy.create_proxy(LEGACY, f"127.0.0.1:{listen}", f"127.0.0.1:{origin}")
    before = toxiproxy.proxies()
    plan = borrowing()
    up = plan.upstream("azure")
    plan = plan.model_copy(
        update={"upstreams": (up.model_copy(update={"origin": up.origin.model_copy(update={"port": origin})}),)}
    )
    borrowed = BorrowedProxy.find(toxiproxy, BorrowedJournal(tmp_path), plan, "azure")
    borrowed.add(f"{plan.prefix}slow.0.0", latency())
    callers = [socket.create_connection(("127.0.0.1", listen)) for _ in range(CALLERS)]
    time.sleep(0.5)
    for caller in callers:
        caller.close()
    time.sleep(0.2)
    begin = time.monotonic()
    borrowed.take_off(plan.prefix, stays_down=False)
    assert time.monotonic() - begin < 3
    assert toxiproxy.proxies() == before
