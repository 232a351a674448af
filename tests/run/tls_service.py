"""A service that asks a partner over HTTPS: `tls_service.py PORT URL TIMEOUT_S`.

It knows the certificate authority from its environment alone, asks on a new connection for each request, and waits for
each answer as long as it was told.
"""

from __future__ import annotations

import json
import ssl
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def ask(headers: dict[str, str]) -> object:
    try:
        request = urllib.request.Request(f"{URL}/v2/search?dest=MUC", headers=headers)
        with urllib.request.urlopen(request, timeout=float(WITHIN_S), context=TRUSTING) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


class Quotes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        passed_on = {name: value for name, value in self.headers.items() if name.lower() == "traceparent"}
        body = json.dumps(None if self.path == "/healthz" else ask(passed_on)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Only the tests' own output matters."""


if __name__ == "__main__":
    _, port, URL, WITHIN_S = sys.argv
    TRUSTING = ssl.create_default_context()
    ThreadingHTTPServer(("127.0.0.1", int(port)), Quotes).serve_forever()
