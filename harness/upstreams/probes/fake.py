"""The probe of a fake: one HTTP request with the canary header, which a fake answers at once with its health answer."""

from __future__ import annotations

from typing import Final

import orjson

from harness.correlation import CANARY_HEADER
from harness.http1 import HttpExchange
from harness.rundir.canaries import Looks
from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.probe import Probe

PATH: Final = "/offers"
"""Any path would do: a fake answers a call with the canary header as if it were its provider's health request."""
LOOKED_INTO_BYTES: Final = 4 << 20
"""A larger body is not parsed, because that would keep the supervisor from its other work."""


class FakeProbe(Probe):
    """`reads_to_end`: the request asks for the connection to be closed, and the exchange is over when it is. Otherwise
    it is over at the end of a whole answer."""

    def __init__(self, upstream: PlannedUpstream, *, reads_to_end: bool) -> None:
        self._marker = f"-tg-{upstream.name}.".encode()
        self._reads_to_end = reads_to_end
        kept = "close" if reads_to_end else "keep-alive"
        headers = {"Host": upstream.listener.address, CANARY_HEADER: "1", "Connection": kept}
        self._exchange = HttpExchange("GET", PATH, headers)

    @property
    def request(self) -> bytes:
        return self._exchange.request

    @property
    def received(self) -> int:
        return self._exchange.received

    def feed(self, data: bytes) -> bytes:
        self._exchange.feed(data)
        return b""

    @property
    def is_over(self) -> bool:
        return not self._reads_to_end and not self.fault

    @property
    def fault(self) -> str:
        return fault_in(self._exchange)

    @property
    def status(self) -> int:
        return self._exchange.status

    def looks(self) -> Looks | None:
        body = self._exchange.body
        if len(body) > LOOKED_INTO_BYTES:
            return None
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            return "no_json"
        return "offers" if self._marker in body else "no_offers"


def fault_in(answer: HttpExchange) -> str:
    """What is wrong with an answer that has ended after what was received; empty if it is whole and 2xx."""
    if not answer.received:
        return "closed without an answer"
    if not answer.is_http:
        return "not an HTTP answer"
    if not answer.has_head:
        return "cut short in the head"
    if not 200 <= answer.status < 300:
        return f"HTTP {answer.status}"
    if answer.length is not None and len(answer.body) < answer.length:
        return f"cut short after {len(answer.body)} of {answer.length} bytes"
    if answer.is_chunked and not answer.ended:
        return f"cut short after {answer.body_bytes} bytes"
    return ""
