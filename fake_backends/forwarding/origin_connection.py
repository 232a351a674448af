"""A connection to a real HTTP/1.1 origin, one exchange after the other. h11 parses; both directions have flow control.

Each connection of the service has one of these for itself and they end together, so keep-alive, idle timeouts and
resets are those of the origin. Nothing is retried.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, cast

import h11

from fake_backends.tls.connecting import connected, why_not
from harness.rundir.planned.forwarding import ForwardSpec

Headers = list[tuple[bytes, bytes]]
FailureKind = Literal["refused", "unreachable", "tls", "closed", "reset", "not_http", "cut_short"]

CONNECT_S: Final = 130.0
"""As long as Linux itself tries."""
HEAD_BYTES_MOST: Final = 64 * 1024
_HTTP: Final = b"HTTP/"
_BUFFER_MOST: Final = 256 * 1024
"""When so many bytes of an answer wait to be taken, the origin is not read from."""


class OriginFailure(Exception):
    """The origin gave no whole answer. `kind` for counting, the text for people."""

    def __init__(self, kind: FailureKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class OriginHead:
    """The head of an answer. `closes`: the connection ends with this answer."""

    status: int
    headers: Headers
    closes: bool


class OriginConnection(asyncio.Protocol):
    """`on_idle_end` is called when the origin ends the connection between two exchanges."""

    def __init__(self, on_idle_end: Callable[[], None]) -> None:
        self._on_idle_end = on_idle_end
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MOST)
        self._transport: asyncio.Transport | None = None
        self._came = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._waiting_bytes = 0
        self._start = b""
        """How the answer begins."""
        self._is_head_request = False
        self._lost: str | None = None
        """Why the connection is over; None: it is not."""
        self._was_reset = False
        self.is_idle = True

    # ---------------------------------------------------------------- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self._start = (self._start + data[: len(_HTTP)])[: len(_HTTP)]
        self._waiting_bytes += len(data)
        try:
            self._http.receive_data(data)
        except (h11.RemoteProtocolError, RuntimeError):  # what follows the last answer of a connection that closes
            self.close()
        if self._waiting_bytes > _BUFFER_MOST and self._transport:
            self._transport.pause_reading()
        if self.is_idle:  # an origin that speaks before it is asked, such as 408 before it closes
            self.close()
            self._on_idle_end()
        self._came.set()

    def eof_received(self) -> None:
        self._end("closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self._was_reset = isinstance(exc, ConnectionError)
        self._end("reset the connection" if self._was_reset else "closed the connection")
        self._may_write.set()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def _end(self, why: str) -> None:
        if self._lost is not None:
            return
        self._lost = why
        self._http.receive_data(b"")
        self._came.set()
        if self.is_idle:
            self._on_idle_end()

    # ---------------------------------------------------------------- one exchange

    @property
    def is_usable(self) -> bool:
        """Whether another request can be sent on it."""
        return self._lost is None and self.is_idle and self._http.our_state is h11.IDLE

    async def send_head(self, method: str, target: bytes, headers: Headers) -> None:
        """Raises OriginFailure, and h11.LocalProtocolError where HTTP cannot send that."""
        self.is_idle, self._start, self._is_head_request = False, b"", method == "HEAD"
        await self._write(self._http.send(h11.Request(method=method, target=target, headers=headers)))

    async def send_body(self, data: bytes) -> None:
        await self._write(self._http.send(h11.Data(data=data)))

    async def end_body(self) -> None:
        await self._write(self._http.send(h11.EndOfMessage()))

    async def head(self) -> OriginHead:
        """Informational answers are passed over. Raises OriginFailure."""
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                break
            if not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
                raise OriginFailure("not_http", "answered with something else than an HTTP answer")
        return OriginHead(event.status_code, list(event.headers), _closes(event, has_body=not self._is_head_request))

    async def body(self) -> bytes:
        """The next piece of the body; empty at its end. Raises OriginFailure."""
        event = await self._event()
        return event.data if isinstance(event, h11.Data) else b""

    def recycle(self) -> None:
        """Make it ready for another exchange, or close it if it cannot have one."""
        self.is_idle = True
        if self._lost is None and self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close()

    def close(self) -> None:
        """At once: what was not sent yet is thrown away."""
        self._lost = self._lost or "closed"
        self._came.set()
        if self._transport:
            self._transport.abort()

    async def _event(self) -> h11.Event:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise self._failure() from error
            if isinstance(event, h11.Event) and not isinstance(event, h11.ConnectionClosed):
                return event
            if isinstance(event, h11.ConnectionClosed) or self._lost is not None:
                raise self._failure()
            self._waiting_bytes = 0
            self._came.clear()
            if self._transport:
                self._transport.resume_reading()
            await self._came.wait()

    def _failure(self) -> OriginFailure:
        if self._lost is None or not _HTTP.startswith(self._start):
            return OriginFailure("not_http", "answered with something else than HTTP/1.1")
        kind: FailureKind = "reset" if self._was_reset else "closed"
        if not self._start:
            return OriginFailure(kind, f"{self._lost} without an answer")
        return OriginFailure("cut_short", f"{self._lost} within an answer")

    async def _write(self, data: bytes | None) -> None:
        if self._lost is None and data and self._transport:
            self._transport.write(data)
            if not self._may_write.is_set():
                await self._may_write.wait()
        # an origin that has gone may have answered before: the answer tells, or its absence


async def connect(
    spec: ForwardSpec, context: ssl.SSLContext | None, on_idle_end: Callable[[], None]
) -> OriginConnection:
    """Raises OriginFailure."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_S):
            _, connection = await loop.create_connection(
                lambda: OriginConnection(on_idle_end),
                sock=await connected(spec.host, spec.port, CONNECT_S),
                ssl=context,
                server_hostname=spec.host if context else None,
            )
    except OSError as error:  # TimeoutError too
        raise OriginFailure(_kind(error), why_not(error, CONNECT_S)) from error
    return connection


def _kind(error: OSError) -> FailureKind:
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return "reset" if isinstance(error, ConnectionError) else "unreachable"


def _closes(response: h11.Response, *, has_body: bool) -> bool:
    """Whether nothing follows this answer: the sender says so, or only the end of the connection ends its body."""
    fields = dict(response.headers)
    tokens = {token.strip().lower() for token in fields.get(b"connection", b"").split(b",")}
    if response.http_version < b"1.1":
        return b"keep-alive" not in tokens
    framed = b"content-length" in fields or b"transfer-encoding" in fields or response.status_code in (204, 304)
    return b"close" in tokens or (has_body and not framed)
