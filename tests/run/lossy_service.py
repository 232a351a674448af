"""A small service that asks every backend at once, gives up on one after a moment, and loses things on the way.

    python lossy_service.py PORT WAY NAME=URL…

WAY is `loses` (every third answer goes without gcp, whatever gcp said, and each answer tells the TOKEN that it was
given) or `wrong-path` (gcp is asked for `/v2/TOKEN/offers`, which is not there).
"""

from __future__ import annotations

import os
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.run.small_service import Handler, serve

GIVE_UP_S = 1.2

_way = sys.argv[2]
_backends = dict(word.split("=", 1) for word in sys.argv[3:])
_token = os.environ.get("TOKEN", "")
_pool = ThreadPoolExecutor(64)


def ask(name: str, seq: str) -> bytes:
    path = f"/v2/{_token}/offers?key={_token}" if _way == "wrong-path" and name == "gcp" else "/offers"
    request = urllib.request.Request(f"{_backends[name]}{path}", headers={"X-Tailgate-Seq": seq})
    try:
        with urllib.request.urlopen(request, timeout=GIVE_UP_S) as answer:
            body: bytes = answer.read()
    except OSError:
        return b""
    return b"" if _way == "loses" and name == "gcp" and int(seq or 0) % 3 == 0 else body


class Service(Handler):
    def do_GET(self) -> None:
        seq = self.headers.get("X-Tailgate-Seq", "")
        found = [] if self.path == "/healthz" else list(_pool.map(lambda name: ask(name, seq), _backends))
        body = b"\n".join([*found, f"{_token}\x1b[31m".encode()])
        self.answer(body)


if __name__ == "__main__":
    serve(Service)
