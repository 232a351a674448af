"""A small service for stack tests: asks every backend named in URLS one after the other, in a thread a request.

    python stub_service.py PORT [mute|crash|grandchild]

`mute` answers /healthz with 503 for ever; `crash` ends with a traceback before it listens; `grandchild`
also starts a process in a session of its own that does not end by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(503 if "mute" in sys.argv else 200, b"health")
            return
        seq = self.headers.get("X-Tailgate-Seq", "")
        body = b""
        try:
            for url in os.environ.get("URLS", "").split():
                request = urllib.request.Request(f"{url}/offers", headers={"X-Tailgate-Seq": seq})
                with urllib.request.urlopen(request, timeout=30) as answer:
                    body += answer.read()
        except OSError as exc:
            self._answer(502, str(exc).encode())
            return
        self._answer(200, body)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of callers that hang up: their tracebacks would push the first line out of the log's end."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


if __name__ == "__main__":
    print("starting with", os.environ.get("TOKEN", "no token"), flush=True)
    if "crash" in sys.argv:
        raise SystemExit("offers: cannot reach the price list")
    if "grandchild" in sys.argv:
        sleep = [sys.executable, "-c", "import time; time.sleep(120)"]
        subprocess.Popen(sleep, start_new_session=True)
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
