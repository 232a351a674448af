"""How an answer is sent: whole, or dripping, padded or cut short, as the behaviours that the call has met demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fake_backends.active_faults import ActiveFault
from fake_backends.providers import Response
from harness.units import NS_PER_MS, NS_PER_S

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

_CHUNK_BYTES: Final = 64 * 1024
_TICK_MS: Final = 50.0
_TICKS_MIN: Final = 10


def any_of(*futures: asyncio.Future[Any]) -> set[asyncio.Future[Any]]:
    """For `asyncio.wait`, whose types demand one kind of future."""
    return set(futures)


async def send_whole(send: Send, answer: Response) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


@dataclass(slots=True)
class ResponseWriter:
    """Sends one answer under the behaviours in `met`.

    `sent_bytes`: how much of the body was sent. `first_ns`: when its first byte was sent (of an empty body: its end).
    """

    answer: Response
    met: Sequence[ActiveFault]
    clock_ns: Callable[[], int]
    sent_bytes: int = 0
    first_ns: int = 0

    async def to(self, send: Send, gone: asyncio.Future[bool]) -> bool:
        """Send the answer. False as soon as the client has `gone`. A body that is cut short is never ended, so the
        server then closes the connection."""
        size = max([len(self.answer.body), *(active.behaviour.pad_to for active in self.met)])
        keep = min([1.0, *(active.behaviour.keep for active in self.met)])
        await send({"type": "http.response.start", "status": self.answer.status, "headers": self._headers(size)})
        end = int(size * keep)
        async for until in self._marks(end, gone):
            while self.sent_bytes < until and not gone.done():
                step = min(until, self.sent_bytes + _CHUNK_BYTES)
                self.first_ns = self.first_ns or self.clock_ns()
                piece = b"".join(_slice(self.answer.body, size, self.sent_bytes, step))
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                self.sent_bytes = step
        if gone.done():
            return False
        if keep >= 1:
            self.first_ns = self.first_ns or self.clock_ns()
            await send({"type": "http.response.body", "body": b""})
        return True

    def _headers(self, size: int) -> tuple[tuple[bytes, bytes], ...]:
        if size == len(self.answer.body):
            return self.answer.headers
        others = [header for header in self.answer.headers if header[0] != b"content-length"]
        return (*others, (b"content-length", str(size).encode()))

    async def _marks(self, end: int, gone: asyncio.Future[bool]) -> AsyncIterator[int]:
        """How many bytes of the body may have been sent: rising numbers, each yielded when its time has come."""
        dripping = [active for active in self.met if active.behaviour.drip_ms]
        if dripping:
            slowest = max(dripping, key=lambda active: active.behaviour.drip_ms)
            ticks = max(_TICKS_MIN, round(slowest.behaviour.drip_ms / _TICK_MS))
            begin_ns = self.clock_ns()
            lifted = asyncio.ensure_future(slowest.lifted.wait())
            try:
                for tick in range(1, ticks + 1):
                    due_ns = begin_ns + round(slowest.behaviour.drip_ms * NS_PER_MS * tick / ticks)
                    left_s = (due_ns - self.clock_ns()) / NS_PER_S
                    if left_s > 0:
                        await asyncio.wait(any_of(gone, lifted), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                    if gone.done() or lifted.done():
                        break
                    yield end * tick // ticks
            finally:
                lifted.cancel()
        yield end


def _slice(body: bytes, size: int, start: int, end: int) -> Iterator[bytes]:
    """Bytes `start` to `end` of a body that is filled up to `size` with spaces before its last byte."""
    last = max(0, len(body) - 1)
    blanks_end = size - (len(body) - last)
    yield body[start : min(end, last)]
    yield b" " * max(0, min(end, blanks_end) - max(start, last))
    if end > blanks_end:
        skipped = max(0, start - blanks_end)
        yield body[last + skipped : last + end - blanks_end]
