"""The service in a cell of the kill matrix: `kill_service.py PORT URL`. It asks URL for each request, and answers 200
without an answer too.

It waits long enough that requests show a fault, and trusts the authorities of its environment (SSL_CERT_FILE).
"""

from __future__ import annotations

import http.client
import ssl
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WITHIN_S = 1.3


class Asking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"ok" if self.path == "/healthz" else self.asked()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def asked(self) -> bytes:
        passed_on = {name: value for name, value in self.headers.items() if name.lower() == "traceparent"}
        try:
            request = urllib.request.Request(URL, headers=passed_on)
            with urllib.request.urlopen(request, timeout=WITHIN_S, context=TRUSTING) as answer:
                return bytes(answer.read())
        except (OSError, http.client.HTTPException):
            return b"without the partner"

    def log_message(self, *_: object) -> None:
        """What it is asked is of no matter."""


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


if __name__ == "__main__":
    _, port, URL = sys.argv
    TRUSTING = ssl.create_default_context()
    Server(("127.0.0.1", int(port)), Asking).serve_forever()
