"""A small service that asks its backends one after the other and keeps what they said.

    python caching_service.py PORT WAY NAME=URL…

WAY is `cache` (keeps an answer for 180 s), `breaker` (leaves a backend alone for good after one failure) or `refuses`
(asks its backends, and answers 403 to everybody).
"""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.run.small_service import Handler, serve

KEPT_S = 180.0
GIVE_UP_S = 1.0

_way = sys.argv[2]
_backends = dict(word.split("=", 1) for word in sys.argv[3:])
_kept: dict[str, tuple[float, bytes]] = {}
_open: set[str] = set()
_locks: dict[str, AbstractContextManager[object]] = {
    name: nullcontext() if _way == "refuses" else threading.Lock() for name in _backends
}


def ask(name: str, seq: str) -> bytes:
    with _locks[name]:
        until_s, body = _kept.get(name, (0.0, b""))
        if _way == "cache" and time.monotonic() < until_s:
            return body
        if name in _open:
            return b""
        request = urllib.request.Request(f"{_backends[name]}/offers", headers={"X-Tailgate-Seq": seq})
        try:
            with urllib.request.urlopen(request, timeout=GIVE_UP_S) as answer:
                found: bytes = answer.read()
        except OSError:
            if _way == "breaker":
                _open.add(name)
            return b""
        _kept[name] = (time.monotonic() + KEPT_S, found)
        return found


class Service(Handler):
    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.answer(b"well")
            return
        body = b"".join(ask(name, self.headers.get("X-Tailgate-Seq", "")) for name in _backends)
        self.answer(b"no", 403) if _way == "refuses" else self.answer(body)


if __name__ == "__main__":
    serve(Service)
