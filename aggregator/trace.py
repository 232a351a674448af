"""What follows one request through every service it touches: its id, and the W3C trace context."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

# what came from outside goes into headers and logs only if it looks like an identifier
_VALUE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


@dataclass(frozen=True, slots=True)
class Trace:
    request_id: str
    traceparent: str | None = None

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> Self:
        """From a request's headers (names in lower case). Without an id the request gets one."""
        given = {name: value.decode() for name, value in headers if _VALUE.fullmatch(value)}
        return cls(given.get(b"x-request-id") or os.urandom(8).hex(), given.get(b"traceparent"))

    def headers(self) -> dict[str, str]:
        """For the calls that this request makes: the context is passed on as it came."""
        headers = {"x-request-id": self.request_id}
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        return headers

    def fields(self) -> dict[str, str]:
        """For a log line."""
        fields = {"request_id": self.request_id}
        if self.traceparent:
            fields["traceparent"] = self.traceparent
        return fields
