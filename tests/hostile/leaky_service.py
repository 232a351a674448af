"""A service that tells its log everything it should not, in every spelling, and answers in texts that want to act.

    python leaky_service.py PORT WAY

WAY is `stays`, `dies` (in mid-load, its last line a secret), `never` (gets ready) or `floods` (one line without end).
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.hostile.texts import HOSTILE

ANSWERS_BEFORE_IT_DIES = 60
SECRETS = [value for name, value in sorted(os.environ.items()) if name.startswith("LEAK_")]


def tell(text: str) -> None:
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass") + b"\n")
    sys.stdout.flush()


def tell_everything() -> None:
    for secret in SECRETS:
        basic = base64.b64encode(b"user:" + secret.encode()).decode()
        tell(f"connecting to postgres://app:{quote(secret, safe='')}@db/app with {secret}")
        tell(f"headers {json.dumps({'Authorization': secret})} {secret!r} {basic}")
    for text in HOSTILE.values():
        tell(text)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answered = 0

    def do_GET(self) -> None:
        if self.path == "/healthz" and sys.argv[2] == "never":
            tell(
                f"not ready: cannot log in with {SECRETS[0]}\x1b[2J\u202e" + "".join(f" {secret}" for secret in SECRETS)
            )
            os._exit(3)
        body = HOSTILE["script"].encode() + self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200, HOSTILE["attribute"])
        self.send_header("X-Hostile", HOSTILE["script"])  # with a control character in it no client would take it
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/healthz":
            return
        type(self).answered += 1
        if self.answered % 20 == 1:
            tell(f"{self.command} {self.path} {dict(self.headers)!r} {body!r}")
        if sys.argv[2] == "dies" and self.answered == ANSWERS_BEFORE_IT_DIES:
            tell(
                f"PASS\r::error::fatal\x1b]52;c;aGk=\x07: bad password {SECRETS[0]}, {' '.join(SECRETS)} {'z' * 2_000}"
            )
            os._exit(9)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        return


def flood() -> None:
    """Twenty megabytes of one line, with a secret here and there."""
    for _ in range(20):
        sys.stdout.buffer.write(b"." * 1_000_003 + SECRETS[0].encode())
        sys.stdout.flush()


tell_everything()
if sys.argv[2] == "floods":
    threading.Thread(target=flood, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
