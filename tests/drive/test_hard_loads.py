"""What a worker must end well under: answers without end, and a rate that it cannot hold."""

from __future__ import annotations

import gzip
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import pytest

from harness.rundir.plan import Plan
from harness.rundir.rows import Outcome
from tests.drive.drive_world import LIMIT_S, StubServer, Worker, a_plan, fake, get, run

pytestmark = pytest.mark.stack

MB = 1_000_000
PIECE = b"x" * MB


class LongServer:
    """Answers each request with `head` and then `piece`, `times` times over, the word before the last of them."""

    def __init__(self, head: bytes, piece: bytes, times: int, word: bytes = b"") -> None:
        self._head, self._piece, self._times, self._word = head, piece, times, word
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(LIMIT_S)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            while peer.recv(65536):
                peer.sendall(self._head)
                for turn in range(self._times):
                    peer.sendall(self._word + self._piece if turn == self._times // 2 else self._piece)


def peak_mb(plan: Plan, run_dir: Path) -> tuple[float, Any]:
    """The most memory that a worker took for a load, in MB, and its rows."""
    with Worker(plan, run_dir) as worker:
        worker.await_ready()
        worker.start()
        watched = psutil.Process(worker.process.pid)
        peak = 0
        while worker.process.poll() is None:
            with suppress(psutil.Error):
                peak = max(peak, watched.memory_info().rss)
            with suppress(psutil.TimeoutExpired):
                watched.wait(timeout=0.01)
        assert worker.finish() == 0, worker.stderr
    return peak / MB, worker.rows()


@pytest.mark.parametrize(
    "size_mb", [pytest.param(100, id="100MB"), pytest.param(1500, id="1.5GB", marks=pytest.mark.nightly)]
)
def test_an_answer_of_any_length_takes_little_memory(tmp_path: Path, size_mb: int) -> None:
    """Two at once; the mark of an upstream in their middle is found all the same. By day 100 MB stand for 1.5 GB."""
    mark = b"a-1-tg-azure."
    length = size_mb * MB + len(mark)
    with LongServer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length, PIECE, size_mb, mark) as server:
        plan = a_plan(
            server.url,
            rate_per_s=10,
            duration_ms=200.0,
            client_cap_ms=60_000.0,
            drain_ms=60_000.0,
            upstreams=(fake("azure", 0), fake("gcp", 1)),
            complete="auto",
        )
        peak, rows = peak_mb(plan, tmp_path)
    assert [Outcome(value) for value in rows["outcome"]] == [Outcome.OK] * 2
    assert set(rows["answered"]) == {0b01}
    assert set(rows["bytes"]) == {length}
    assert peak < 150


@pytest.mark.nightly
def test_a_bomb_of_gzip_takes_little_memory(tmp_path: Path) -> None:
    """Two megabytes that decode to two gigabytes; by day pure tests show the pieces in which it is decoded."""
    bomb = gzip.compress(b"\0" * (100 * MB)) * 20
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with LongServer(head, bomb, 1) as server:
        plan = a_plan(server.url, rate_per_s=5, duration_ms=200.0, client_cap_ms=60_000.0, drain_ms=60_000.0)
        peak, rows = peak_mb(plan, tmp_path)
    assert [Outcome(value) for value in rows["outcome"]] == [Outcome.OK]
    assert set(rows["bytes"]) == {2000 * MB}
    assert peak < 150


def test_a_rate_that_no_worker_holds_leaves_a_row_for_each_arrival(tmp_path: Path) -> None:
    """Late or dropped, but none is missing: the judge names the rate that was (tests/verdict/test_validity.py)."""
    with StubServer() as stub:
        plan = a_plan(stub.url, rate_per_s=40_000, duration_ms=250.0, max_in_flight=20, requests=(get(),))
        rows, worker = run(plan, tmp_path)
    assert len(rows) == 10_000
    assert sorted(map(int, rows["seq"])) == list(range(10_000))
    late = (rows["sent_ns"] - rows["intended_ns"]) / 1e6 > 10
    assert (late | (rows["outcome"] == Outcome.DROPPED)).mean() > 0.5
    assert worker.stderr.count("Traceback") == 0
