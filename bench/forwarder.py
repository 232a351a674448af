"""The forwarder: CPU of the fakes' process for one call, against a fake's own, and its memory under large bodies.

    python bench/forwarder.py [ROUNDS] [--short]

Each round asks a generic fake and a forwarder one after the other, over one kept connection, for answers of about 4 kB.
The origin behind the forwarder is another process of fakes, which is not counted. Then an answer and a request of
100 MB each pass the forwarder, and the growth of its memory is read meanwhile.
"""

from __future__ import annotations

import http.client
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.command_line import read_options
from bench.fake_cpu import cpu_us, until_ready
from harness.rundir.plan import Plan
from harness.rundir.planned.upstream import Endpoint
from harness.scenario import load_scenario
from harness.scenario.load import dry_plan
from harness.stack.processes.ports import PortLease

CALLS, SHORT_CALLS = 3_000, 150
LIMIT: Final = 4.0
LARGE_BYTES, SHORT_LARGE_BYTES = 100_000_000, 20_000_000
GROWTH_MOST_MB: Final = 20.0
"""Far less than a body: what is under way at once is a few hundred kilobytes."""
PIECE: Final = b"z" * 100_000
SCENARIO: Final = """
name: forwarder
service: {command: "true {port}"}
upstreams:
  near: {rows: 15, profile: {constant: 0ms}}
  far: {rows: 15, profile: {constant: 0ms}}
gateway: {kind: none}
load: {request: GET /, rate: 1/s, duration: 10s}
gates: [errors < 50%]
"""
FORWARDED: Final = """
name: forwarder
service: {command: "true {port}"}
upstreams:
  near: {rows: 15, profile: {constant: 0ms}}
  passed: http://127.0.0.1:FAR
  large: http://127.0.0.1:LARGE
gateway: {kind: none}
load: {request: GET /, rate: 1/s, duration: 10s}
gates: [errors < 50%]
"""


def plan_of(text: str, folder: str, ports: list[int]) -> Plan:
    path = Path(folder, "scenario.yaml")
    path.write_text(text, encoding="utf-8")
    plan = dry_plan(load_scenario(path).checked)[0]
    own = [
        each.model_copy(update={"origin": Endpoint(port=port)})
        for each, port in zip(plan.upstreams, ports, strict=True)
    ]
    return plan.model_copy(update={"upstreams": tuple(own)})


@contextmanager
def fakes(text: str, folder: str, ports: list[int]) -> Iterator[psutil.Process]:
    plan_of(text, folder, ports).write(Path(folder))
    process = subprocess.Popen([sys.executable, "-P", "-m", "fake_backends", folder])
    try:
        for port in ports:
            until_ready(port)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=10)


def serve_large(listener: socket.socket, size: int) -> None:
    """An origin that sends `size` bytes to a GET and swallows whatever a PUT sends; it ends with its socket."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as reader:
            lines = []
            while (line := reader.readline().lower()) not in (b"", b"\r\n"):
                lines.append(line)
            if not lines:  # the forwarder's look whether anything listens
                continue
            if lines[0].startswith(b"put"):
                left = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
                while left:
                    left -= len(reader.read(min(left, len(PIECE))))
                connection.sendall(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                continue
            connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % size)
            for _ in range(size // len(PIECE)):
                connection.sendall(PIECE)


def growth_mb(port: int, size: int, process: psutil.Process, method: str) -> float:
    """How much the process grew, at most, while a body of `size` bytes passed it."""
    before = most = process.memory_info().rss
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def pieces() -> Iterator[bytes]:
        nonlocal most
        for number in range(size // len(PIECE)):
            if number % 50 == 0:
                most = max(most, process.memory_info().rss)
            yield PIECE

    connection.request(
        method, "/", pieces() if method == "PUT" else None, {"Content-Length": str(size)} if method == "PUT" else {}
    )
    response = connection.getresponse()
    got = 0
    while piece := response.read(1_000_000):
        got += len(piece)
        most = max(most, process.memory_info().rss)
    connection.close()
    assert method == "PUT" or got == size, got
    return (most - before) / 1e6


def main() -> int:
    options = read_options(__doc__, rounds=5, short_rounds=2)
    calls, size = (SHORT_CALLS, SHORT_LARGE_BYTES) if options.short else (CALLS, LARGE_BYTES)
    with (
        tempfile.TemporaryDirectory() as far,
        tempfile.TemporaryDirectory() as near,
        PortLease() as lease,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        threading.Thread(target=serve_large, args=(listener, size), daemon=True).start()
        ports = [lease.take() for _ in range(5)]
        text = FORWARDED.replace("FAR", str(ports[1])).replace("LARGE", str(listener.getsockname()[1]))
        with fakes(SCENARIO, far, ports[:2]), fakes(text, near, ports[2:]) as process:
            cpu_us(ports[3], ["/offers"], 50, process)  # both have been imported and compiled what they need
            rounds = [
                (cpu_us(ports[2], ["/offers"], calls, process), cpu_us(ports[3], ["/offers"], calls, process))
                for _ in range(options.rounds)
            ]
            grown = [(method, growth_mb(ports[4], size, process, method)) for method in ("GET", "PUT")]
    usual = statistics.median(near_us for (near_us, _), _ in rounds)
    print("| what answers | bytes an answer | µs of CPU a call | least | most | ratio | limit |")
    print("|---|---|---|---|---|---|---|")
    for name, index, limit in (("a fake", 0, ""), ("a real origin, forwarded", 1, f"{LIMIT:g}")):
        costs = [each[index][0] for each in rounds]
        median, bytes_each = statistics.median(costs), rounds[0][index][1]
        ratio = median / usual
        spread = f"{min(costs):.0f} | {max(costs):.0f}"
        print(f"| {name} | {bytes_each:,.0f} | {median:.0f} | {spread} | {ratio:.2f} | {limit} |")
    print()
    print("| body | megabytes | growth of memory (MB) | limit |")
    print("|---|---|---|---|")
    for method, growth in grown:
        whose = "answer" if method == "GET" else "request"
        print(f"| of the {whose} | {size / 1e6:.0f} | {growth:.1f} | {GROWTH_MOST_MB:g} |")
    return options.exit_code(holds=ratio <= LIMIT and all(growth <= GROWTH_MOST_MB for _, growth in grown))


if __name__ == "__main__":
    sys.exit(main())
