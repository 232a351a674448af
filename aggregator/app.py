"""The HTTP side, in plain ASGI: `GET /v1/offers`, `/metrics`, `/healthz`, `/openapi.json`.

A client that goes away changes nothing: the request's work goes on. In the rungs without a deadline
that is the story's second half (the gateway has answered 504 long ago, and the service still holds
sockets and memory for it); in the others the deadline bounds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST

from aggregator.antipatterns.sessions import NoSession
from aggregator.monitoring import FaultLog, Metrics
from aggregator.problem import BAD_PARAMETER, INTERNAL, METHOD_NOT_ALLOWED, NO_SESSION, NOT_FOUND, STOPPING
from aggregator.query import BadQuery, parse_query
from aggregator.reply import RETRY_AFTER, Message, Reply, Send, offers_reply, refusal
from aggregator.service import Service
from aggregator.trace import Trace

Receive = Callable[[], Awaitable[Message]]

OFFERS: Final = "/v1/offers"
PATHS: Final = (OFFERS, "/metrics", "/healthz", "/openapi.json")
OPENAPI: Final = Path(__file__).with_name("openapi.json")


class App:
    """An ASGI application without lifespan."""

    def __init__(self, service: Service, backends: Sequence[str], metrics: Metrics, fault_log: FaultLog) -> None:
        self._service = service
        self._backends = backends
        self._metrics = metrics
        self._fault_log = fault_log
        self._openapi = OPENAPI.read_bytes()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        trace = Trace.of(scope["headers"])
        path, method = scope["path"], scope["method"]
        reply = self._at_once(path, method, trace)
        if reply is not None:
            await reply.send(send, request_id=trace.request_id, head_only=method == "HEAD")
            return
        with self._metrics.requests_in_flight.track_inprogress():
            reply = await self._offers(scope["query_string"], trace)
            await reply.send(send, request_id=trace.request_id, head_only=method == "HEAD")
        self._metrics.requests.labels(str(reply.status)).inc()

    def _at_once(self, path: str, method: str, trace: Trace) -> Reply | None:
        """The reply to a request that needs no backend; None: it asks for offers."""
        if path not in PATHS:
            detail = f"there is no {path[:200]}; try {OFFERS}, and see /openapi.json for what else there is"
            return refusal(NOT_FOUND, detail, path, trace.request_id)
        if method not in ("GET", "HEAD"):
            detail = f"{path} takes GET and HEAD only"
            headers = ((b"allow", b"GET, HEAD"),)
            return refusal(METHOD_NOT_ALLOWED, detail, path, trace.request_id, headers=headers)
        if path == "/healthz":
            return Reply(200, b'{"status":"ok"}')
        if path == "/metrics":
            return Reply(200, self._metrics.text(), CONTENT_TYPE_LATEST.encode())
        return Reply(200, self._openapi) if path == "/openapi.json" else None

    async def _offers(self, query_string: bytes, trace: Trace) -> Reply:
        """The top of every request: whatever is raised below becomes an answer here."""
        request_id = trace.request_id
        try:
            query = parse_query(query_string, self._backends)
            answer = await self._service.offers(query, trace)
            return offers_reply(answer, request_id)
        except BadQuery as error:
            return refusal(BAD_PARAMETER, str(error), OFFERS, request_id, parameter=error.parameter)
        except NoSession as error:
            self._fault_log.request_failed(error, trace, is_bug=False)
            return refusal(NO_SESSION, str(error), OFFERS, request_id)
        except asyncio.CancelledError:  # only a server that is stopping cancels requests, and it waits for this answer
            return refusal(STOPPING, "the service is stopping; ask again", OFFERS, request_id, headers=(RETRY_AFTER,))
        except Exception as error:
            self._fault_log.request_failed(error, trace, is_bug=True)
            return refusal(INTERNAL, "internal error; its log has more under the request id", OFFERS, request_id)
