"""A service that asks a partner for each request: `search_service.py PORT URL guarded|patient [LOCK]`.

Guarded, it waits 0.3 s for the partner and does without; patient, it waits 10 s and passes the failure on as 502. With
LOCK it starts only once: the second time it finds the file and never listens.
"""

from __future__ import annotations

import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Search(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, body = (200, b"ok") if self.path == "/healthz" else self.asked()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def asked(self) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"{URL}/v2/search", timeout=0.3 if GUARDED else 10) as answer:
                return 200, answer.read()
        except OSError:
            return (200, b'{"hits": []}') if GUARDED else (502, b"the partner failed")

    def log_message(self, *_: object) -> None:
        """Only its own lines matter."""


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


if __name__ == "__main__":
    port, URL, mode, *lock = sys.argv[1:]
    GUARDED = mode == "guarded"
    if lock and Path(lock[0]).exists():
        print("another instance has the lock", flush=True)
        time.sleep(60)
    for each in lock:
        Path(each).touch()
    Server(("127.0.0.1", int(port)), Search).serve_forever()
