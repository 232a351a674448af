"""A service that asks a Redis for each request: `cache_service.py PORT CACHE_URL`.

It sends PING on a new connection, in TLS if the URL says so, for half a second at most, and answers 200 with what came.
The authorities that it trusts are those of the environment (SSL_CERT_FILE).
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

WITHIN_S = 0.5


def ping() -> str | None:
    parts = urlsplit(CACHE)
    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=WITHIN_S) as plain:
            connection = TRUSTED.wrap_socket(plain, server_hostname=parts.hostname) if TRUSTED else plain
            with connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).decode()
    except OSError:
        return None


class Cached(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        said = ping() if self.path != "/healthz" else ""
        body = json.dumps({"cache": said}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Only the tests' own output matters."""


if __name__ == "__main__":
    _, port, CACHE = sys.argv
    TRUSTED = ssl.create_default_context() if CACHE.startswith("rediss://") else None
    ThreadingHTTPServer(("127.0.0.1", int(port)), Cached).serve_forever()
