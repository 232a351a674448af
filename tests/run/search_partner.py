"""A partner that a scenario starts by a command: `search_partner.py PORT [SECONDS]`. It answers every GET with JSON.

With SECONDS it listens only after that time. What it is asked is of no matter.
"""

from __future__ import annotations

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = b'{"hits": [1, 2, 3]}'


class Hits(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        """Only what it says at its start matters."""


class Server(ThreadingHTTPServer):
    request_queue_size = 256


if __name__ == "__main__":
    port, *late = map(float, sys.argv[1:])
    print(f"partner starts, token {os.environ.get('PARTNER_TOKEN', 'none')}", flush=True)
    time.sleep(*late or [0])
    Server(("127.0.0.1", int(port)), Hits).serve_forever()
