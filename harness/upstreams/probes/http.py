"""The probe of an HTTP server without a forwarder: `HEAD /`, and every answer below 500 is a sign of life.

It carries no mark of ours, because the server is not ours to know it.
"""

from __future__ import annotations

from typing import Final

from harness.http1 import HttpExchange
from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.foreign import is_tls, not_the
from harness.upstreams.probes.probe import Probe

_ERRORS_FROM: Final = 500


class HttpProbe(Probe):
    """`reads_to_end`: the request asks for the connection to be closed, and the exchange is over when it is."""

    def __init__(self, upstream: PlannedUpstream, *, reads_to_end: bool) -> None:
        self._reads_to_end = reads_to_end
        kept = "close" if reads_to_end else "keep-alive"
        self._exchange = HttpExchange("HEAD", "/", {"Host": upstream.origin.address, "Connection": kept})
        self._start = b""

    @property
    def request(self) -> bytes:
        return self._exchange.request

    @property
    def received(self) -> int:
        return self._exchange.received

    def feed(self, data: bytes) -> bytes:
        self._start = (self._start + data[:16])[:16]
        self._exchange.feed(data)
        return b""

    @property
    def is_over(self) -> bool:
        return self._is_foreign or (self._exchange.ended and not self._reads_to_end)

    @property
    def hangs_up(self) -> bool:
        return self._exchange.ended and self._reads_to_end

    @property
    def _is_foreign(self) -> bool:
        return not self._exchange.is_http or is_tls(self._start)

    @property
    def fault(self) -> str:
        if not self.received:
            return "closed without an answer"
        if self._is_foreign:
            return not_the("HTTP", self._start)
        if not self._exchange.has_head:
            return "cut short in the head"
        return f"HTTP {self.status}" if self.status >= _ERRORS_FROM else ""

    @property
    def status(self) -> int:
        return self._exchange.status
