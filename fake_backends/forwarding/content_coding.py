"""Content codings of answers (RFC 9110, section 8.4.1): which ones can be looked into, and their text, piece by piece.

Answers are passed on as they come. Only what looks into a body decodes it, and never more of it than it asked for.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

READABLE: Final = (b"gzip", b"x-gzip", b"deflate", b"identity")
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_ENCODING: Final = b"content-encoding"


class Decoder:
    """The text of a body, from its pieces. `is_readable` becomes False where no further text can be had."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]], most_bytes: int) -> None:
        coding = b",".join(value for name, value in headers if name == _ENCODING).strip().lower()
        self.is_readable = not coding or coding in READABLE
        self._left = most_bytes
        self._inflating = zlib.decompressobj(_GZIP_OR_ZLIB) if coding not in (b"", b"identity") else None

    def text(self, piece: bytes) -> bytes:
        """What the piece adds to the text; at most `most_bytes` in all calls together, then `is_readable` is False."""
        if not self.is_readable:
            return b""
        text = piece
        if self._inflating:
            try:
                text = self._inflating.decompress(piece, self._left + 1)
            except zlib.error:
                self.is_readable = False
                return b""
        if len(text) > self._left:
            self.is_readable = False
        text = text[: self._left]
        self._left -= len(text)
        return text

    @property
    def is_whole(self) -> bool:
        """Whether the text so far is all of it, once the body has ended."""
        return self.is_readable and (self._inflating is None or self._inflating.eof)


def only_readable(accepted: bytes) -> bytes:
    """The value of an Accept-Encoding without what nobody here can look into; `identity` if nothing is left."""
    kept = [each.strip() for each in accepted.split(b",") if each.partition(b";")[0].strip().lower() in READABLE]
    return b", ".join(kept) or b"identity"
