"""Between tailgate and a real Toxiproxy: passes the admin API on, and never answers the calls it is told to stall."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Stalls = Callable[[str, str], bool]
"""(method, path) → whether this call is never answered."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class StallingAdmin:
    """`passes_on`: a stalled call reaches the server all the same, whose answer is kept back."""

    def __init__(self, real_url: str, stalls: Stalls, *, passes_on: bool) -> None:
        port = int(real_url.rpartition(":")[2])
        over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stalled = stalls(self.command, self.path)
                if passes_on or not stalled:
                    status, answer = self._ask(body)
                if stalled:
                    over.wait(120)
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_PATCH = do_DELETE = do_GET

            def _ask(self, body: bytes) -> tuple[int, bytes]:
                real = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                try:
                    real.request(self.command, self.path, body, {"Content-Type": "application/json"})
                    answer = real.getresponse()
                    return answer.status, answer.read()
                finally:
                    real.close()

            def log_message(self, format: str, *args: object) -> None:
                return

        self._over = over
        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
