"""The truth about a service whose limit is known: the rate at which a simulation of its queue puts the gate's share at
its limit, and the time that its workers really take, asked of the service itself.

A worker that sleeps for 50 ms takes 51, and one that computes for 8 ms has a request to read and an answer to write
besides. So a service is started alone, with nothing beside it, and asked for one answer after another; the median is
the time of work of the simulation.
"""

from __future__ import annotations

import functools
import heapq
import http.client
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

SERVICE: Final = Path(__file__).with_name("limited_service.py")
ARRIVALS: Final = 200_000
SHARE: Final = 0.01
"""The gate is on p99."""
OVERHEAD_MS: Final = 4.0
"""What gateway, sockets and the load generator add to a request; the truth is taken for limits of this much less."""
ASKED: Final = 21
READY_WITHIN_S: Final = 20.0
NAME: Final = "upstream"


@dataclass(frozen=True, slots=True)
class Limited:
    """A service and its gate: p99 below `limit_ms`. `limiters`: the kinds that may be named besides none."""

    kind: str
    workers: int
    work_ms: float
    limit_ms: float
    limiters: tuple[str, ...] = ()

    @property
    def computes(self) -> bool:
        """Whether it takes a core, so that no search may run beside it."""
        return self.kind == "cpu"

    @property
    def name(self) -> str:
        return f"{self.kind} {self.workers} x {self.work_ms:g} ms, p99 < {self.limit_ms:g} ms"

    def argv(self, upstream_url: str = f"{{{NAME}.url}}") -> list[str]:
        figures = [str(self.workers), f"{self.work_ms:g}"]
        if self.kind == "cpu":
            figures = figures[1:]
        elif self.kind == "threads":
            figures[1] = upstream_url
        return [sys.executable, str(SERVICE), "{port}", self.kind, *figures]

    def scenario(self, rate_per_s: float) -> str:
        """Its scenario, in YAML."""
        fake = f"{{routes: {{GET /: {{json: {{}}}}}}, profile: {{constant: {self.work_ms:g}ms}}}}"
        upstreams = f"{{{NAME}: {fake}}}" if self.kind == "threads" else "{}"
        return f"""\
name: limited
service: {{command: {json.dumps(self.argv())}, ready: GET /healthz within 20s}}
upstreams: {upstreams}
gateway: {{timeout: 5s}}
load: {{request: GET /, rate: {rate_per_s:.3g}/s}}
gates: [p99 < {self.limit_ms:g}ms]
verdict: {{clump: 10ms}}
"""

    def truth_per_s(self, work_ms: float | None = None) -> float:
        """The rate at which 1 % of the requests of the simulated queue take the limit or longer. `work_ms`: as asked of
        the service; None: as planned."""
        return _truth_per_s(self.workers, work_ms or self.work_ms, self.limit_ms)

    def timed_ms(self) -> float:
        """How long a worker of the idle service is taken by a request, in ms: the median time of an answer, or the
        processor time of one where it computes. Raises TimeoutError if the service does not start."""
        with _upstream(self.work_ms) as url, _started(self.argv(url)) as (port, pid):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_WITHIN_S)
            try:
                _answer_s(connection)
                before_ms = _processor_ms(pid)
                median_s = statistics.median(_answer_s(connection) for _ in range(ASKED))
                return (_processor_ms(pid) - before_ms) / ASKED if self.computes else 1000 * median_s
            finally:
                connection.close()


@functools.cache
def _truth_per_s(workers: int, work_ms: float, limit_ms: float) -> float:
    low, high = 0.0, workers * 1000 / work_ms
    for _ in range(12):  # a quarter of a per mille
        middle = (low + high) / 2
        slow = exceeding(middle, workers, work_ms, limit_ms - OVERHEAD_MS)
        low, high = (middle, high) if slow < SHARE else (low, middle)
    return (low + high) / 2


def exceeding(rate_per_s: float, workers: int, work_ms: float, limit_ms: float, seed: int = 1) -> float:
    """The share of requests that take `limit_ms` or longer in a queue of `workers` that each take `work_ms`."""
    arrived_ms = np.cumsum(np.random.default_rng(seed).exponential(1000 / max(rate_per_s, 1e-9), ARRIVALS))
    return float((done_ms(arrived_ms, workers, work_ms) - arrived_ms >= limit_ms).mean())


def done_ms(arrived_ms: NDArray[np.float64], workers: int, work_ms: float) -> NDArray[np.float64]:
    """When each request of the queue is done, first come first served; shape (requests,), as the sorted arrivals."""
    free = [0.0] * workers
    done = np.empty(len(arrived_ms))
    for number, at in enumerate(arrived_ms.tolist()):
        done[number] = max(at, heapq.heappop(free)) + work_ms
        heapq.heappush(free, float(done[number]))
    return done


def _answer_s(connection: http.client.HTTPConnection) -> float:
    begun_s = time.perf_counter()
    connection.request("GET", "/")
    connection.getresponse().read()
    return time.perf_counter() - begun_s


def _processor_ms(pid: int) -> float:
    """What the main thread has used of a core (proc(5): schedstat)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


@contextmanager
def _started(argv: list[str]) -> Iterator[tuple[int, int]]:
    """The service's port and process id, from when it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([word.replace("{port}", str(port)) for word in argv])
    try:
        end_s = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > end_s or process.poll() is not None:
                    raise TimeoutError(f"{argv} did not start") from None
                time.sleep(0.05)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


class _Sleeper(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(self.server.work_s)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def _upstream(work_ms: float) -> Iterator[str]:
    """An upstream that answers after a fixed time, for a service that asks one."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sleeper)
    server.daemon_threads = True
    server.work_s = work_ms / 1000  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
