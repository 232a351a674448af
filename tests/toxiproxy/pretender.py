"""A server that looks like Toxiproxy's admin API and behaves as badly as a test asks, proxying nothing.

honest    keeps what it is told, as the real one does
liar      answers every write as done and does nothing
error     answers 500 to everything
busy      answers 503 to everything
hung      takes the request and never answers
dripping  answers a byte at a time, each within any timeout
nonsense  answers 200 and a web page
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote

_WRITES = {"POST", "DELETE"}


class Pretender:
    """A context manager. `mood` may be changed while it runs; `asked` is every request line."""

    def __init__(self, mood: str = "honest") -> None:
        self.mood = mood
        self.proxies: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.ending = threading.Event()
        handler = type("Handler", (_Handler,), {"pretender": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def toxics(self, proxy: str) -> list[str]:
        return [toxic["name"] for toxic in self.proxies[proxy]["toxics"]]

    def __enter__(self) -> Pretender:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    pretender: Pretender

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, method: str) -> None:
        world = self.pretender
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with world.lock:
            world.asked.append(f"{method} {self.path}")
            world.headers.append(dict(self.headers.items()))
        match world.mood:
            case "error":
                self._send(500, {"error": "out of order", "status": 500})
            case "busy":
                self._send(503, {"error": "timeout", "status": 503})
            case "hung":
                world.ending.wait(30)
            case "dripping":
                self._drip()
            case "nonsense":
                self._send_bytes(200, b"<html>It works!</html>")
            case "liar" if method in _WRITES:
                self._send(204 if method == "DELETE" else 200, {})
            case _:
                with world.lock:
                    status, answer = self._obey(method, json.loads(body) if body else {})
                self._send(status, answer)

    def _obey(self, method: str, asked: dict[str, Any]) -> tuple[int, Any]:
        proxies = self.pretender.proxies
        parts = [unquote(part) for part in self.path.strip("/").split("/")]
        match method, parts:
            case "GET", ["version"]:
                return 200, {"version": "2.12.0"}
            case "GET", ["proxies"]:
                return 200, proxies
            case "POST", ["proxies"]:
                proxies[asked["name"]] = {**asked, "toxics": []}
                return 201, proxies[asked["name"]]
        proxy = proxies.get(parts[1])
        if proxy is None:
            return 404, {"error": "proxy not found", "status": 404}
        match method, parts[2:]:
            case "GET", []:
                return 200, proxy
            case "POST", []:
                proxy |= asked
                return 200, proxy
            case "DELETE", []:
                del proxies[parts[1]]
                return 204, None
            case "GET", ["toxics"]:
                return 200, proxy["toxics"]
            case "POST", ["toxics"]:
                proxy["toxics"].append(asked)
                return 200, asked
            case "POST", ["toxics", name]:
                (changed,) = [toxic for toxic in proxy["toxics"] if toxic["name"] == name]
                changed["attributes"] |= asked["attributes"]
                return 200, changed
            case "DELETE", ["toxics", name]:
                kept = [toxic for toxic in proxy["toxics"] if toxic["name"] != name]
                found = len(kept) < len(proxy["toxics"])
                proxy["toxics"][:] = kept
                return (204, None) if found else (404, {"error": "toxic not found", "status": 404})
        return 405, None

    def _send(self, status: int, answer: Any) -> None:
        self._send_bytes(status, b"" if status == 204 else json.dumps(answer).encode())

    def _send_bytes(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            if self.pretender.ending.wait(0.05):
                return
            try:
                self.wfile.write(b" ")
            except OSError:
                return
