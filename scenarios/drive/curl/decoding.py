"""Undoes the content encoding of a body as it arrives, in pieces of bounded size.

libcurl could do it, but takes a body for whole whose compressed stream was cut short.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import brotli

PIECE_MOST: Final = 1024 * 1024
"""Bytes of one decoded piece: a few compressed bytes may stand for gigabytes."""


class BrokenEncoding(Exception):
    """A body that is not what its Content-Encoding says, or an encoding that was not asked for."""


class BodyDecoder(Protocol):
    finished: bool
    """The end of the compressed stream has been read."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes of the body stand for. Raises BrokenEncoding."""


class _Zlib:
    """gzip of one or more members, or deflate with or without its header."""

    def __init__(self, encoding: str) -> None:
        self.finished = False
        self._gzip = encoding == "gzip"
        self._inner: Any = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                if self._inner is None:
                    self._inner, self.finished = zlib.decompressobj(self._window(data)), False
                yield self._inner.decompress(data, PIECE_MOST)
                data = self._inner.unconsumed_tail
                if self._inner.eof:
                    self.finished = True
                    data = self._inner.unused_data if self._gzip else b""
                    self._inner = None if self._gzip else self._inner
        except zlib.error as exc:
            raise BrokenEncoding(str(exc)) from exc

    def _window(self, data: bytes) -> int:
        if self._gzip:
            return 16 + zlib.MAX_WBITS
        # the header of zlib begins with 8 (RFC 1950); many servers leave it out
        return zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS


class _Brotli:
    def __init__(self) -> None:
        self.finished = False
        self._inner = brotli.Decompressor()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        try:
            piece = self._inner.process(data, output_buffer_limit=PIECE_MOST)
            yield piece
            # a piece of that length may not be all, even where more input would be accepted
            while piece and (len(piece) >= PIECE_MOST or not self._inner.can_accept_more_data()):
                piece = self._inner.process(b"", output_buffer_limit=PIECE_MOST)
                yield piece
        except brotli.error as exc:
            raise BrokenEncoding(str(exc)) from exc
        self.finished = self._inner.is_finished()


_DECODERS: Final[dict[str, Callable[[], BodyDecoder] | None]] = {
    "": None,
    "identity": None,
    "gzip": lambda: _Zlib("gzip"),
    "x-gzip": lambda: _Zlib("gzip"),
    "deflate": lambda: _Zlib("deflate"),
    "br": _Brotli,
}
ACCEPTED: Final = "gzip, deflate, br"


def decoder_of(encoding: str) -> BodyDecoder | None:
    """The decoder of a body with this Content-Encoding; None if it is as it is. Raises BrokenEncoding."""
    try:
        make = _DECODERS[encoding.strip().lower()]
    except KeyError:
        raise BrokenEncoding(f"the content encoding {encoding!r} was not asked for") from None
    return None if make is None else make()
