"""The service of the bench `busy_machine`: `busy_machine_service.py PORT URL CPU_MS`. It asks URL for each request, and
uses so much processor time for it, in a process of its own."""

from __future__ import annotations

import http.client
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ForkingMixIn

WITHIN_S = 5.0


class Asking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"ok" if self.path == "/healthz" else self.asked()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def asked(self) -> bytes:
        end_s = time.process_time() + CPU_MS / 1000
        while time.process_time() < end_s:
            pass
        passed_on = {name: value for name, value in self.headers.items() if name.lower() == "traceparent"}
        try:
            request = urllib.request.Request(URL, headers=passed_on)
            with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
                return bytes(answer.read())
        except (OSError, http.client.HTTPException):
            return b"without the partner"

    def log_message(self, *_: object) -> None:
        """What it is asked is of no matter."""


class Server(ForkingMixIn, HTTPServer):
    request_queue_size = 256
    max_children = 8


if __name__ == "__main__":
    _, port, URL, cpu_ms = sys.argv
    CPU_MS = float(cpu_ms)
    Server(("127.0.0.1", int(port)), Asking).serve_forever()
