"""A service with a cache: `pooled_cache_service.py PORT HOST:PORT`. It answers whether the cache replied in 300 ms.

It keeps one connection to the cache for as long as that works, as clients with a pool do.
"""

from __future__ import annotations

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE_S = 0.3


class Cache:
    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._connection: socket.socket | None = None
        self._lock = threading.Lock()

    def ping(self) -> bool:
        if not self._lock.acquire(timeout=PATIENCE_S):
            return False
        try:
            if self._connection is None:
                self._connection = socket.create_connection(self._address, PATIENCE_S)
            self._connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            if self._connection.recv(64) == b"+PONG\r\n":
                return True
            raise ConnectionError("no PONG")
        except OSError:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return False
        finally:
            self._lock.release()


class Quote(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cache: Cache

    def do_GET(self) -> None:
        cached = self.path != "/healthz" and self.cache.ping()
        body = b'{"cached": true}' if cached else b'{"cached": false}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """It logs nothing."""


if __name__ == "__main__":
    Quote.cache = Cache(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Quote).serve_forever()
