"""One HTTP/1.1 request and what comes back of its answer, for probes and canaries. h11 parses; nothing here is I/O.

It refuses nothing: an answer may be whole, cut short anywhere, or no HTTP at all, and each can be told from the others.
Redirects are not followed. h11 is imported with the first request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods that a scenario may write."""
ALPN_HTTP_1: Final = ("http/1.1",)
"""As TLS offers it."""
HEAD_BYTES_MOST: Final = 64 * 1024
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.\d (\d{3})(?!\d)")
_START_BYTES: Final = 16
"""As many show whether a status line begins here."""


def is_header_name(text: str) -> bool:
    """Whether it is a token of RFC 9110, section 5.6.2, of at most 256 characters."""
    return _HEADER_NAME.fullmatch(text) is not None


class HttpExchange:
    """`request` is to be sent; what is received goes into `feed`, piece by piece.

    `received`: bytes, the head's included. `body`: without its chunks' framing. `length`: what Content-Length promises,
    None where that does not end the body. `is_chunked`: the last chunk ends it. `ended`: its end was seen.
    `is_damaged`: h11 can make nothing of what followed, so it is passed over.
    """

    def __init__(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        """`headers` with Host. Raises ValueError where HTTP cannot send that; the message holds none of the values."""
        import h11

        self.received = 0
        self.body = bytearray()
        self.length: int | None = None
        self.is_chunked = False
        self.ended = False
        self._status = 0
        self._start = b""
        self._head_bytes = 0
        self.is_damaged = False
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MOST)
        fields = [(name.encode(), value.strip().encode()) for name, value in headers.items()]
        try:
            head = self._connection.send(h11.Request(method=method, target=target.encode(), headers=fields))
            self.request = head + self._connection.send(h11.EndOfMessage())
        except h11.LocalProtocolError:
            raise ValueError("the request cannot be sent: its path or one of its headers is not valid HTTP") from None

    @property
    def status(self) -> int:
        """0 where no status line came. It is known before the rest of the head has come."""
        found = _STATUS_LINE.match(self._start)
        return self._status or (int(found[1]) if found else 0)

    @property
    def has_head(self) -> bool:
        return self._head_bytes > 0

    @property
    def body_bytes(self) -> int:
        """As received: chunks with their framing. 0 where the head has not come whole."""
        return self.received - self._head_bytes if self.has_head else 0

    @property
    def is_http(self) -> bool:
        """False as soon as what was received cannot be the head of an answer."""
        if self.has_head:
            return True
        is_known = len(self._start) >= _START_BYTES or b"\n" in self._start
        return not self.is_damaged and (self.status > 0 or not is_known)

    def feed(self, data: bytes) -> None:
        """Take what was received next; `b""` is the end of file."""
        import h11

        self.received += len(data)
        self._start = (self._start + data[:_START_BYTES])[:_START_BYTES]
        if self.ended or self.is_damaged or not (data or self.has_head):
            return
        try:
            self._connection.receive_data(data)
            while isinstance(event := self._connection.next_event(), h11.Event):
                if isinstance(event, h11.Response):
                    self._take_head(event.status_code, dict(event.headers))
                elif isinstance(event, h11.Data):
                    self.body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self.ended = True
                    return
        except h11.RemoteProtocolError:
            self.is_damaged = True

    def _take_head(self, status: int, fields: Mapping[bytes, bytes]) -> None:
        unread, _ = self._connection.trailing_data
        self._head_bytes = self.received - len(unread)
        self._status = status
        self.is_chunked = b"transfer-encoding" in fields
        if not self.is_chunked and b"content-length" in fields and status not in (204, 304):
            self.length = int(fields[b"content-length"])
