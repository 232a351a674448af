"""A service that asks six servers at once, each by the client that services use for it, in 1.5 s at most.

`clients_service.py PORT HTTPX_URL REQUESTS_URL AIOHTTP_URL PSYCOPG_URL REDIS_URL GRPC_ADDRESS`. For each client it
writes one line to its log: `SENT_NS DONE_NS CLIENT OUTCOME` with times of the monotonic clock. The outcome is `ok`, or
the name of the error that the client raised. It answers 200 whatever they say.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import grpc
import httpx
import psycopg
import redis
import requests

WITHIN_S = 1.5
GRPC_OPTIONS = (("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 500))
PARTS = (b'{"to": ', b'"MUC"}')


def in_two_parts() -> Iterator[bytes]:
    """A body of unknown length, which is sent in chunks."""
    yield from PARTS


class Clients:
    """Each keeps its connections, except psycopg, which connects each time. On failure each raises its own error."""

    def __init__(self, *, pay: str, flights: str, cars: str, db: str, cache: str, rates: str) -> None:
        self._pay, self._flights, self._cars, self._db = pay, flights, cars, db
        self._httpx = httpx.Client(timeout=WITHIN_S)
        self._requests = requests.Session()
        self._redis = redis.Redis.from_url(cache, socket_timeout=0.2, socket_connect_timeout=0.2)
        self._say = grpc.insecure_channel(rates, GRPC_OPTIONS).unary_unary("/tailgate.Echo/Say")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._aiohttp = asyncio.run_coroutine_threadsafe(self._session(), self._loop).result(10)

    async def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(WITHIN_S))

    def all(self) -> dict[str, Callable[[Mapping[str, str]], None]]:
        return {
            "httpx": self.httpx,
            "requests": self.requests,
            "aiohttp": self.aiohttp,
            "psycopg": self.psycopg,
            "redis": self.redis,
            "grpcio": self.grpcio,
        }

    def httpx(self, headers: Mapping[str, str]) -> None:
        assert self._httpx.get(f"{self._pay}/fees", headers=headers).raise_for_status().json() == {"cents": 5}

    def requests(self, headers: Mapping[str, str]) -> None:
        """What it sends comes back, since the partner answers with the body that it was sent."""
        url = f"{self._flights}/v2/search"
        answer = self._requests.post(url, data=in_two_parts(), headers=headers, timeout=WITHIN_S)
        answer.raise_for_status()
        assert answer.content == b"".join(PARTS)

    def aiohttp(self, headers: Mapping[str, str]) -> None:
        asyncio.run_coroutine_threadsafe(self._ask_cars(headers), self._loop).result(10)

    async def _ask_cars(self, headers: Mapping[str, str]) -> None:
        async with self._aiohttp.get(f"{self._cars}/cars/7", headers=headers) as answer:
            answer.raise_for_status()
            assert await answer.json() == {"id": "7"}

    def psycopg(self, _: Mapping[str, str]) -> None:
        with psycopg.connect(self._db) as connection:
            assert connection.execute("SELECT 7").fetchone() == (7,)

    def redis(self, _: Mapping[str, str]) -> None:
        assert self._redis.ping()

    def grpcio(self, _: Mapping[str, str]) -> None:
        assert self._say(b"seven", timeout=WITHIN_S) == b"seven"


def outcome(ask: Callable[[Mapping[str, str]], None], headers: Mapping[str, str]) -> str:
    try:
        ask(headers)
    except grpc.RpcError as exc:
        return str(exc.code().name)
    except Exception as exc:
        return type(exc).__name__
    return "ok"


class Trips(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    clients: Clients

    def do_GET(self) -> None:
        asked = {} if self.path == "/healthz" else self.clients.all()
        headers = {name: value for name, value in self.headers.items() if name.lower() == "traceparent"}
        with ThreadPoolExecutor(len(asked) or 1) as pool:
            said = dict(pool.map(lambda each: (each[0], self._timed(each[0], each[1], headers)), asked.items()))
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _timed(self, name: str, ask: Callable[[Mapping[str, str]], None], headers: Mapping[str, str]) -> str:
        sent_ns = time.monotonic_ns()
        said = outcome(ask, headers)
        sys.stdout.write(f"{sent_ns} {time.monotonic_ns()} {name} {said}\n")
        sys.stdout.flush()
        return said

    def log_message(self, *_: object) -> None:
        """Only its own lines matter."""


if __name__ == "__main__":
    _, port, pay, flights, cars, db, cache, rates = sys.argv
    Trips.clients = Clients(pay=pay, flights=flights, cars=cars, db=db, cache=cache, rates=rates)
    ThreadingHTTPServer(("127.0.0.1", int(port)), Trips).serve_forever()
