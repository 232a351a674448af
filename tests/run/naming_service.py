"""A small service that asks every backend at once, gives up after a moment, and says in plain text whom it blames.

    python naming_service.py PORT WAY NAME=URL…

WAY is `right` (names who did not answer), `wrong` (names everybody else), `silent`, `hostile` (names who did not answer
in texts that want to act), `floods` (megabytes, and then who did not answer), `rich` or `json` (who did not answer, and
a Python traceback whose source holds `lambda` and `import`, as rich prints it or in a JSON line). `/metrics` holds the
same as an alert, which is raised as long as the last call failed; with `wrong` it is about everybody else, with
`silent` there is none.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.core.erring_program import fail
from tests.hostile.texts import HOSTILE
from tests.run.small_service import Handler, serve

GIVE_UP_S = 0.4
FLOOD_BYTES = 6_000_000

_way = sys.argv[2]
_backends = dict(word.split("=", 1) for word in sys.argv[3:])
_pool = ThreadPoolExecutor(64)
_failed: dict[str, bool] = dict.fromkeys(_backends, False)
_log = logging.Logger("offers")
_log.addHandler(RichHandler(console=Console(width=120), rich_tracebacks=True, tracebacks_show_locals=True))


def tell(text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    sys.stdout.buffer.write(f"{stamp} {text}\n".encode("utf-8", "surrogatepass"))
    sys.stdout.flush()


def ask(name: str, seq: str) -> bytes:
    request = urllib.request.Request(f"{_backends[name]}/offers", headers={"X-Tailgate-Seq": seq})
    try:
        with urllib.request.urlopen(request, timeout=GIVE_UP_S) as answer:
            body: bytes = answer.read()
    except OSError as exc:
        if not _failed[name] and _way == "floods":
            sys.stdout.buffer.write(b"." * FLOOD_BYTES + b"\n")
        _failed[name] = True
        blame(name, exc)
        return b""
    _failed[name] = False
    return body


def blame(name: str, exc: OSError) -> None:
    if _way == "wrong":
        for other in _backends:
            if other != name:
                tell(f"WARNING offers: {other} did not answer: {exc}")
    elif _way in ("rich", "json"):
        blame_with_traceback(name)
    elif _way == "hostile":
        for text in HOSTILE.values():
            tell(f"ERROR offers: {name} {text}")
    elif _way != "silent":
        tell(f"ERROR offers: {name} did not answer: {exc}")


def blame_with_traceback(name: str) -> None:
    try:
        fail("no answer in time")
    except TimeoutError:
        if _way == "rich":
            _log.exception("%s did not answer", name)
            return
        event = {"level": "error", "event": f"{name} did not answer", "exception": traceback.format_exc()}
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


def metrics() -> bytes:
    if _way == "silent":
        return b"up 1\n"
    anybody = any(_failed.values())
    raised = {name: (anybody and not failed) if _way == "wrong" else failed for name, failed in _failed.items()}
    return "".join(f'offers_degraded{{backend="{name}"}} {int(on)}\n' for name, on in raised.items()).encode()


class Service(Handler):
    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.answer(b"well")
        elif self.path == "/metrics":
            self.answer(metrics())
        else:
            seq = self.headers.get("X-Tailgate-Seq", "")
            self.answer(b"".join(_pool.map(lambda name: ask(name, seq), _backends)))
            tell(f"INFO offers: answered with {', '.join(_backends)}")


if __name__ == "__main__":
    serve(Service)
