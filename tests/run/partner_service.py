"""A service that asks two partners for each request: `partner_service.py PORT FLIGHTS_URL CARS_URL`.

It asks flights for `GET /v2/search?dest=MUC` and cars for `GET /cars/7`, each for half a second at most, and answers
with what came.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WITHIN_S = 0.5


def ask(url: str, headers: dict[str, str]) -> object:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=WITHIN_S) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


class Quotes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        passed_on = {name: value for name, value in self.headers.items() if name.lower() == "traceparent"}
        urls = [] if self.path == "/healthz" else [f"{FLIGHTS}/v2/search?dest=MUC", f"{CARS}/cars/7"]
        with ThreadPoolExecutor(2) as pool:
            flights, *cars = [*pool.map(lambda url: ask(url, passed_on), urls)] or [None]
        body = json.dumps({"flights": flights, "cars": cars}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Only the tests' own output matters."""


if __name__ == "__main__":
    _, port, FLIGHTS, CARS = sys.argv
    ThreadingHTTPServer(("127.0.0.1", int(port)), Quotes).serve_forever()
