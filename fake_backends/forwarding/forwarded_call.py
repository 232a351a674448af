"""One call that a real origin answers: it waits its turn, asks the origin, waits for the faults that hold it, answers.

Faults that decide what the answer is are answered here, and the origin is not asked. The others change an answer that
the origin gave. Bodies are passed on as they come, whatever their size; only a fault that changes a body needs all of
it, and leaves a body alone that is too large for that.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import h11

from fake_backends.breaking import break_connection, transport_of
from fake_backends.call import Call, leaves_body_alone
from fake_backends.concurrency_limit import ConcurrencyLimit
from fake_backends.forwarding.content_coding import Decoder
from fake_backends.forwarding.forwarder import REMEMBERED_BYTES, Forwarder
from fake_backends.forwarding.header_rules import Codings, Headers, towards_origin, towards_service
from fake_backends.forwarding.noticed import NoticedOfOrigins
from fake_backends.forwarding.origin_connection import OriginConnection, OriginFailure, OriginHead
from fake_backends.forwarding.request_body import RequestBody
from fake_backends.providers import Response
from fake_backends.response_writer import Message, Receive, ResponseWriter, Send, any_of

CHANGED_MOST: Final = 16 << 20
"""Bytes: a larger body is passed on as it is, whatever fault should have changed it."""
LOOKED_INTO_BYTES: Final = 256 * 1024
"""So much of the text of a body is searched for links to the origin."""
FAILED_STATUS: Final = 502
"""In the row of a call that the origin gave no whole answer to."""


@dataclass(slots=True)
class ForwardedCall(Call):
    """`answer` is what is sent if a fault has changed it; until then it is `unasked`, and the origin answers."""

    forwarder: Forwarder = field(kw_only=True)
    noticed: NoticedOfOrigins = field(kw_only=True)
    upstream: str = field(kw_only=True)
    unasked: Response = field(init=False)
    has_link: bool = field(default=False, init=False)
    """A link to the origin was noted: once is enough for one answer."""

    def __post_init__(self) -> None:
        Call.__post_init__(self)
        self.unasked = self.answer

    @property
    def asks_origin(self) -> bool:
        """False: a fault answers in the origin's place, or holds the call for good."""
        return self.answer is self.unasked and all(held_ns < float("inf") for _, held_ns in self.holds)

    def note_link(self) -> None:
        """Its answer has a link to the origin, in the headers or in the body."""
        self.has_link = True
        self.noticed.note(self.upstream, "link", self.forwarder.spec.address)

    async def answer_to(self, scope: Message, receive: Receive, send: Send) -> bool:
        """As `Call.answer_to`. A call that the origin did not answer is broken off as the origin broke it."""
        if not self.asks_origin:
            if self.answer is self.unasked:  # it hung, and its body was not kept: a server that wakes up has lost it
                self.answer = Response(0, (), b"", broken="reset")
            return await Call.answer_to(self, scope, receive, send)
        body = RequestBody(receive)
        entered: list[ConcurrencyLimit] = []
        try:
            if self.queues and not await self._take_turns(body.gone, entered):
                return False
            exchange = asyncio.ensure_future(_Exchange(self, scope, body, send).run())
            try:
                await asyncio.wait(any_of(exchange, body.gone), return_when=asyncio.FIRST_COMPLETED)
                if exchange.done():
                    return exchange.result()
                return False
            finally:
                if not exchange.done():
                    exchange.cancel()
                    await asyncio.wait((exchange,))
        finally:
            body.close()
            for slots in entered:
                slots.leave()

    async def hold(self, gone: asyncio.Future[bool]) -> bool:
        """Wait for the faults that hold it. False: the client has left."""
        self.begun_ns = self.clock_ns()
        return not self.holds or await self._wait(gone)

    def forget_changes(self) -> None:
        """No fault that changes the body has hit this call."""
        self.met = [active for active in self.met if leaves_body_alone(active)]
        self.behaviour = self.faults = 0
        for active in self.met:
            self.mark(active)


@dataclass(slots=True)
class _Exchange:
    """One request to the origin and its answer, while the client is there."""

    call: ForwardedCall
    scope: Message
    body: RequestBody
    send: Send

    async def run(self) -> bool:
        forwarder, origin, upload = self.call.forwarder, None, None
        try:
            origin = await forwarder.connection_for(self.scope)
            await self._send_head(origin)
            upload = await self._upload(origin)
            head = await origin.head()
            if not await self.call.hold(self.body.gone):
                return False
            stayed = await self._pass_on(origin, head)
            if stayed and not head.closes and (upload is None or upload.done()):
                origin.recycle()
                origin = None
            return stayed
        except OriginFailure as failure:
            return self._fail(failure)
        except h11.LocalProtocolError as error:
            return self._fail(OriginFailure("not_http", f"cannot be asked for this in HTTP/1.1 ({error})"))
        finally:
            if upload:
                upload.cancel()
            if origin:
                origin.close()

    async def _send_head(self, origin: OriginConnection) -> None:
        scope, call = self.scope, self.call
        plain = any(active.behaviour.pad_to for active in call.met)
        codings: Codings = "none" if plain else "readable" if call.forwarder.remembers else "any"
        headers = towards_origin(scope["headers"], call.forwarder.spec, call.forwarder.run, codings=codings)
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        await origin.send_head(scope["method"], target, headers)

    async def _upload(self, origin: OriginConnection) -> asyncio.Task[None] | None:
        """Send the request's body: at once if it has come already, else beside the answer."""

        async def rest() -> None:
            while piece := await self.body.next():
                await origin.send_body(piece)
            await origin.end_body()

        await asyncio.sleep(0)  # the reader of the body has its first turn
        if self.body.is_taken:
            await origin.end_body()
            return None
        return asyncio.ensure_future(rest())

    async def _pass_on(self, origin: OriginConnection, head: OriginHead) -> bool:
        call = self.call
        headers, bypasses = call.forwarder.links.rewritten(
            towards_service(head.headers, head.status, closes=head.closes or not self.body.is_taken), self._listener()
        )
        if "redirect" in bypasses:
            call.noticed.note(call.upstream, "redirect", "")
        if "link" in bypasses:
            call.note_link()
        call.begun, call.status = True, head.status
        if all(leaves_body_alone(active) for active in call.met):
            await self._stream(origin, head.status, headers)
            return not self.body.gone.done()
        return await self._changed(origin, head.status, headers)

    async def _stream(self, origin: OriginConnection, status: int, headers: Headers, begin: bytes = b"") -> None:
        """Pass the body on as it comes. `begin`: what of it has come already."""
        call, send = self.call, self.send
        await send({"type": "http.response.start", "status": status, "headers": headers})
        watch = _BodyWatch(call, self.scope, status, headers)
        piece = begin or await origin.body()
        call.first_ns = call.clock_ns()
        while piece:
            watch.see(piece)
            call.sent_bytes += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await origin.body()
        watch.end()
        await send({"type": "http.response.body", "body": b""})

    async def _changed(self, origin: OriginConnection, status: int, headers: Headers) -> bool:
        """Send an answer whose body a fault changes."""
        call = self.call
        collected = bytearray()
        while len(collected) <= CHANGED_MOST and (piece := await origin.body()):
            collected += piece
        encoded = any(name == b"content-encoding" for name, _ in headers)
        padded = any(active.behaviour.pad_to for active in call.met)
        if len(collected) > CHANGED_MOST or (encoded and padded):
            call.forget_changes()
            await self._stream(origin, status, headers, bytes(collected))
            return not self.body.gone.done()
        writer = ResponseWriter(Response(status, tuple(headers), bytes(collected)), call.met, call.clock_ns)
        try:
            return await writer.to(self.send, self.body.gone)
        finally:
            call.sent_bytes, call.first_ns = writer.sent_bytes, writer.first_ns

    def _listener(self) -> bytes:
        """The address by which the service came."""
        host = next((value for name, value in self.scope["headers"] if name == b"host"), b"")
        return str(self.scope["scheme"]).encode() + b"://" + host

    def _fail(self, failure: OriginFailure) -> bool:
        """Break the service's connection off as the origin broke its own."""
        call = self.call
        if transport_of(self.scope).is_closing():  # the service has left, and its end has ended the other connection
            return False
        call.noticed.note(call.upstream, "no_answer", str(failure))
        call.origin_failed, call.status = True, FAILED_STATUS
        call.first_ns = call.first_ns or call.clock_ns()
        call.begun = True
        break_connection(self.scope, "empty" if failure.kind in ("closed", "cut_short", "not_http") else "reset")
        return True


class _BodyWatch:
    """Looks at a body while it is passed on: for links to the origin, and to remember a short JSON answer."""

    def __init__(self, call: ForwardedCall, scope: Message, status: int, headers: Headers) -> None:
        self._call = call
        self._request = scope["method"], scope["path"]
        self._status, self._headers = status, headers
        fields = dict(headers)
        kind = fields.get(b"content-type", b"")
        self._looks = not call.has_link and any(word in kind for word in (b"json", b"text", b"xml"))
        self._decoder = Decoder(headers, LOOKED_INTO_BYTES)
        self._tail = b""
        self._kept: bytearray | None = bytearray() if call.forwarder.wants(status, headers) else None

    def see(self, piece: bytes) -> None:
        if not self._looks and self._kept is None:
            return
        text = self._decoder.text(piece)
        if self._looks:
            looked_at = self._tail + text
            found = self._call.forwarder.links.pattern.search(looked_at)
            if found:
                self._call.note_link()
            self._looks = not found and self._decoder.is_readable
            self._tail = looked_at[-self._call.forwarder.links.LONGEST :]
        if self._kept is not None:
            self._kept += text
            if len(self._kept) > REMEMBERED_BYTES or not self._decoder.is_readable:
                self._kept = None

    def end(self) -> None:
        if self._kept is not None and self._decoder.is_whole:
            self._call.forwarder.remember(*self._request, self._status, self._headers, bytes(self._kept))
