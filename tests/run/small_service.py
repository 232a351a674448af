"""What the small services of these tests share: whole HTTP/1.1 answers, no access log, a queue that holds a burst."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


def serve(handler: type[Handler]) -> None:
    """On the port that the command line names first, until the process is ended."""
    _Server(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
