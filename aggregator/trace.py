"""The request id and the W3C trace context, which follow a request through every service.

Values from outside go into headers and logs only if they are well formed. Others are dropped silently, because a
request is worth more than its trace.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header: no version ff, no id that is all zeros; version 00 is
# these four fields, a later one may have more behind them
_IDS: Final = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_TRACEPARENT: Final = re.compile(rb"00" + _IDS + rb"|(?!00|ff)[0-9a-f]{2}" + _IDS + rb"(-[!-~]{0,72})?")
_TRACESTATE: Final = re.compile(rb"[ -~]{1,512}")  # as much as the specification asks every service to pass on


@dataclass(frozen=True, slots=True)
class Trace:
    request_id: str
    traceparent: str | None = None
    tracestate: str | None = None
    """None where there is no `traceparent`, which it belongs to."""

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> Self:
        """From a request's headers (names in lower case). Without an id the request gets one."""
        given: dict[bytes, bytes] = {}
        for name, value in headers:
            # as of any header that comes more than once; of all three only tracestate may
            given[name] = given[name] + b"," + value if name in given else value
        request_id = _matching(_REQUEST_ID, given.get(b"x-request-id")) or os.urandom(8).hex()
        traceparent = _matching(_TRACEPARENT, given.get(b"traceparent"))
        return cls(request_id, traceparent, traceparent and _matching(_TRACESTATE, given.get(b"tracestate")))

    def headers(self) -> dict[str, str]:
        """For the calls that this request makes: the context is passed on as it came."""
        return {"x-request-id": self.request_id, **self._context()}

    def fields(self) -> dict[str, str]:
        """For a log line."""
        fields = {"request_id": self.request_id}
        if self.traceparent:
            fields["traceparent"] = self.traceparent
        return fields

    def _context(self) -> dict[str, str]:
        context = {"traceparent": self.traceparent, "tracestate": self.tracestate}
        return {name: value for name, value in context.items() if value}


def _matching(form: re.Pattern[bytes], value: bytes | None) -> str | None:
    return value.decode() if value and form.fullmatch(value) else None
