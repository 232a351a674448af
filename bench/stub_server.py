"""A small HTTP server with a known service time: the thing that load is measured against.

Answers any GET after `service_ms`, holds every answer while a stall is on, and keeps the moment of
each answer by the request's number. Ends with its parent. `python bench/stub_server.py PORT` alone,
or `Stub` from a benchmark.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from types import TracebackType
from typing import Self, cast

NS_PER_S = 1_000_000_000
BODY = json.dumps({"offers": [{"instance": f"gpu-1x-{i:04d}-tg-stub.", "price": i / 7} for i in range(60)]}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY


@dataclass(slots=True)
class Service:
    """Holds answers of requests between `stall_from_ns` and `stall_until_ns` to the latter."""

    service_ms: float
    stall_from_ns: int = 0
    stall_until_ns: int = 0
    replied: list[tuple[int, int]] = field(default_factory=list)

    def due_ns(self, now_ns: int) -> int:
        due_ns = now_ns + int(self.service_ms * 1e6)
        return self.stall_until_ns if self.stall_from_ns <= due_ns < self.stall_until_ns else due_ns


class Connection(asyncio.Protocol):
    def __init__(self, service: Service) -> None:
        self._service = service
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
            self._asked(head)

    def _asked(self, head: bytes) -> None:
        loop = asyncio.get_running_loop()
        target = head.split(b" ", 2)[1].decode()
        if target.startswith("/control/"):
            self._control(target.split("/")[2:])
            return
        seq = -1
        for line in head.split(b"\r\n")[1:]:
            if line[:15].lower() == b"x-tailgate-seq:":
                seq = int(line[15:])
        now_ns = time.monotonic_ns()
        wait_s = (self._service.due_ns(now_ns) - now_ns) / NS_PER_S
        loop.call_later(wait_s, self._answer, seq) if wait_s > 0 else self._answer(seq)

    def _answer(self, seq: int) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._service.replied.append((seq, time.monotonic_ns()))
        self._transport.write(ANSWER)

    def _control(self, words: list[str]) -> None:
        """`stall/FROM/UNTIL` in monotonic ns; `replies` as JSON."""
        body = b"{}"
        if words[0] == "stall":
            self._service.stall_from_ns, self._service.stall_until_ns = int(words[1]), int(words[2])
        else:
            body = json.dumps(self._service.replied).encode()
        assert self._transport is not None
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


async def serve(port: int, service_ms: float) -> None:
    service = Service(service_ms)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until whoever started us closes the pipe or is gone
    server.close()


class Stub:
    """The server as a child process; `url` once entered."""

    def __init__(self, service_ms: float = 0.0) -> None:
        self._service_ms = service_ms
        self.url = ""

    def __enter__(self) -> Self:
        argv = [sys.executable, str(Path(__file__).absolute()), "0", str(self._service_ms)]
        self._process = Popen(argv, stdin=PIPE, stdout=PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def stall(self, from_ns: int, until_ns: int) -> None:
        self._get(f"/control/stall/{from_ns}/{until_ns}")

    def replies(self) -> dict[int, int]:
        """Moment of the answer (monotonic ns) by request number."""
        return dict(json.loads(self._get("/control/replies")))

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            body: bytes = answer.read()
        return body

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=10)


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
