"""The HTTP side, in plain ASGI: `GET /v1/offers`, `/metrics`, `/healthz`; errors are JSON as well.

A client that goes away changes nothing: the request's work goes on. In the rungs without a deadline
that is the story's second half (the gateway has answered 504 long ago, and the service still holds
sockets and memory for it); in the others the deadline bounds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final

import orjson
from prometheus_client import CONTENT_TYPE_LATEST

from aggregator.monitoring import Metrics, log
from aggregator.query import BadQuery, parse_query
from aggregator.service import Result, Service
from aggregator.trace import Trace

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_JSON: Final = b"application/json"


class App:
    """An ASGI application without lifespan."""

    def __init__(self, service: Service, backends: Sequence[str], metrics: Metrics) -> None:
        self._service = service
        self._backends = backends
        self._metrics = metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path not in ("/v1/offers", "/metrics", "/healthz"):
            await _reply(send, 404, _error("", f"there is no {path[:200]}; try /v1/offers"))
        elif scope["method"] not in ("GET", "HEAD"):
            await _reply(send, 405, _error("", f"{path} takes GET only"), [(b"allow", b"GET")])
        elif path == "/healthz":
            await _reply(send, 200, b'{"status":"ok"}')
        elif path == "/metrics":
            await _reply(send, 200, self._metrics.text(), kind=CONTENT_TYPE_LATEST.encode())
        else:
            with self._metrics.requests_in_flight.track_inprogress():
                trace = Trace.of(scope["headers"])
                status, body, headers = await self._offers(scope["query_string"], trace)
                headers.append((b"x-request-id", trace.request_id.encode()))
                await _reply(send, status, body, headers)
            self._metrics.requests.labels(str(status)).inc()

    async def _offers(self, query_string: bytes, trace: Trace) -> tuple[int, bytes, Headers]:
        """Status, body, headers. The process's top, so the place where nothing may escape."""
        request_id = trace.request_id
        try:
            query = parse_query(query_string, self._backends)
            answer = await self._service.offers(query, trace)
        except BadQuery as error:
            return 400, _error(error.parameter, str(error), request_id), []
        except asyncio.CancelledError:  # only a server that was told to stop cancels
            return 503, _error("", "the service is stopping", request_id), []
        except Exception:
            log.exception("a request failed", extra={"fields": trace.fields()})
            return 500, _error("", "internal error", request_id), []
        timing = (b"server-timing", server_timing(answer.results))
        document = {
            "offers": answer.offers,
            "partial": answer.is_partial,
            "missing": [{"backend": result.backend, "reason": result.reason} for result in answer.missing],
            "backends": {result.backend: _source(result) for result in answer.wanted},
            "request_id": request_id,
        }
        if answer.is_nothing:
            return 503, orjson.dumps(document), [timing, (b"retry-after", b"1")]
        return 200, orjson.dumps(document), [timing]


def _source(result: Result) -> dict[str, Any]:
    """Where a backend's offers come from: from it now (`live`), from its last answer (`stale`), from nowhere."""
    if result.reason is None:
        return {"source": "live"}
    if result.age_s is None:
        return {"source": "none", "reason": result.reason}
    return {"source": "stale", "reason": result.reason, "age_s": round(result.age_s, 1)}


def server_timing(results: Iterable[Result]) -> bytes:
    """`azure;dur=1000.2;desc="timeout", gcp;dur=61.9`: milliseconds for each backend that was asked."""
    parts = []
    for result in results:
        part = f"{result.backend};dur={result.elapsed_s * 1000:.1f}"
        parts.append(f'{part};desc="{result.reason}"' if result.reason else part)
    return ", ".join(parts).encode()


def _error(parameter: str, message: str, request_id: str | None = None) -> bytes:
    problem = {"parameter": parameter, "message": message} if parameter else {"message": message}
    return orjson.dumps({"error": problem, "request_id": request_id} if request_id else {"error": problem})


async def _reply(send: Send, status: int, body: bytes, headers: Headers | None = None, kind: bytes = _JSON) -> None:
    fixed = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fixed + (headers or [])})
    await send({"type": "http.response.body", "body": body})
