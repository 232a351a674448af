"""A page opened in a real Chromium, asked questions by a script of its own origin that posts the answers back.

No driver and no DevTools: a loopback server hands out the page and a probe that opens it in a frame of
a given width. Answers and console lines come back, or TimeoutError with what the browser said.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

BINARY: Final = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
_PROBE: Final = (Path(__file__).parent / "probe.js").read_text(encoding="utf-8")
_WAIT_S: Final = 180.0
_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--enable-logging=stderr", "--window-size=1600,1200", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip


def ask(page: str, profile: Path, *, dark: bool, widths: tuple[int, ...]) -> tuple[list[dict[str, Any]], list[str]]:
    """What probe.js found out at each width, and whatever the page wrote to its console."""
    assert BINARY
    with _served(page, widths) as (url, answers), (profile.parent / f"{profile.name}.log").open("w+b") as log:
        # 0 is dark: blink::mojom::PreferredColorScheme
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        process = subprocess.Popen(
            [BINARY, *_FLAGS, scheme, f"--user-data-dir={profile}", url],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            found = answers.get(timeout=_WAIT_S)
        except queue.Empty:
            log.seek(0)
            raise TimeoutError(f"no answer in {_WAIT_S} s; the browser said:\n{log.read().decode()[-4000:]}") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)
        log.seek(0)
        console = re.findall(r"CONSOLE.*", log.read().decode("utf-8", "replace"))
    return found, console


@contextlib.contextmanager
def _served(page: str, widths: tuple[int, ...]) -> Any:
    answers: queue.Queue[list[dict[str, Any]]] = queue.Queue()
    probe = f"<!doctype html><meta charset=utf-8><body><script>var WIDTHS = {json.dumps(widths)};{_PROBE}</script>"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = {"/": probe, "/report.html": page}.get(self.path)
            self.send_response(200 if text else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((text or "").encode())

        def do_POST(self) -> None:
            answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
