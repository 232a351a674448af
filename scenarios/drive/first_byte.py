"""Records when the first byte of an answer's body arrived, for the client of FastHttpUser.

The client reads the headers and the beginning of the body together. If the body arrives later, the response records the
time when it does. Other clients do not provide the time, so their rows have 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from geventhttpclient.client import HTTPClient
from geventhttpclient.response import HTTPSocketPoolResponse

from scenarios.drive.arrival import Exchange

CURRENT: Final[ContextVar[Exchange | None]] = ContextVar("exchange", default=None)
"""The exchange that the running greenlet works on; each greenlet has a context of its own."""


class _LateBody(HTTPSocketPoolResponse):
    """A response whose headers have arrived, but no byte of its body."""

    exchange: Exchange | None

    def _on_body(self, buf: bytearray) -> None:
        self._note()
        super()._on_body(buf)

    def _on_message_complete(self) -> None:
        self._note()  # the body is empty
        super()._on_message_complete()

    def _note(self) -> None:
        if self.exchange is not None:
            self.exchange.first_ns, self.exchange = time.monotonic_ns(), None


def time_bodies(client: HTTPClient) -> None:
    """Note the first byte of every answer that this client gets for the current exchange. Idempotent."""
    if "request" not in vars(client):
        vars(client)["request"] = _timed(client.request)


def _timed(request: Callable[..., HTTPSocketPoolResponse]) -> Callable[..., HTTPSocketPoolResponse]:
    def timed(*args: Any, **kwargs: Any) -> HTTPSocketPoolResponse:
        exchange = CURRENT.get()
        if exchange is None:
            return request(*args, **kwargs)
        exchange.first_ns = 0  # discard the time of an answer that redirected to this one
        response = request(*args, **kwargs)
        if response.message_complete or response._body_buffer:
            exchange.first_ns = time.monotonic_ns()
        else:
            response.__class__ = _LateBody
            response.exchange = exchange  # type: ignore[attr-defined]
        return response

    return timed
