"""A partner of the service in a cell of the kill matrix: `kill_partner.py PORT ROLE [PEM]`.

`as-leader` starts the other two and ends with the server, as a script does. `as-server` answers every
request with the same JSON, in HTTPS if it is given a certificate with its key. `as-daemon` has a session of its own,
and only waits.
"""

from __future__ import annotations

import ssl
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WAITS_S = 600.0
BODY = b'{"hits": [1, 2, 3]}'


class Hits(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(BODY)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """What it is asked is of no matter."""


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


def serve(port: str, certificate: str | None) -> None:
    server = Server(("127.0.0.1", int(port)), Hits)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def lead(port: str) -> int:
    subprocess.Popen([sys.executable, __file__, port, "as-daemon"], start_new_session=True)
    return abs(subprocess.call([sys.executable, __file__, port, "as-server"]))


if __name__ == "__main__":
    _, at, role, *pem = sys.argv
    if role == "as-leader":
        sys.exit(lead(at))
    if role == "as-daemon":
        time.sleep(WAITS_S)
    else:
        serve(at, pem[0] if pem else None)
