"""An answer as it arrives: its head, and its body whole up to a limit, beyond it only what the checks need of it.

So an answer of a gigabyte takes no gigabyte. Checks look for strings in the body; those that were found in a part that
is no longer held are appended to what is, so that the checks find them there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Final

from harness.rundir.incomplete import BYTES_MOST
from scenarios.drive.curl.decoding import BodyDecoder, BrokenEncoding, decoder_of

HELD_MOST: Final = 256 * 1024
"""Bytes of one body that are held. The beginning of an incomplete answer that is kept for people is shorter."""
HELD_MOST_PARSED: Final = 16 * 1024 * 1024
"""The same where a jmespath expression reads the body, which must be whole for that: a longer one is a bad answer."""
_SEAM: Final = b"\0"
"""Stands between parts, so that no string is found across them."""
_ENCODING: Final = re.compile(rb"^content-encoding:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_BLANK: Final = (b"\r\n", b"\n")


class AnswerBuffer:
    """One answer at a time, emptied by `clear`. `needles`: the strings that checks look for."""

    def __init__(self, needles: Sequence[bytes], held_most: int = HELD_MOST) -> None:
        self._needles = tuple(needles)
        self._overlap = max((len(needle) for needle in needles), default=1) - 1
        self._held_most = max(held_most, self._overlap + 1)
        self.head_lines: list[bytes] = []
        """Every line of every head, those of interim answers and trailers too. libcurl limits them to 300 kB."""
        self.clear()

    def clear(self) -> None:
        self.size = 0
        """Bytes of the decoded body that have arrived."""
        self.first_ns = 0
        """When the body's first byte arrived (monotonic); 0: none has."""
        self.broken = False
        """Its encoding is not what its head says."""
        self.head_lines.clear()
        self._decoder: BodyDecoder | None = None
        self._held = 0
        self._chunks: list[bytes] = []
        self._beginning: bytes | None = None
        self._found: set[bytes] = set()

    def write(self, data: bytes) -> None:
        """The next bytes of the body, as they were sent. What follows a broken encoding is passed over, so that the
        connection can be used again, and a redirect be followed whatever its body."""
        try:
            if not self.first_ns:
                self.first_ns = time.monotonic_ns()
                encoding = _ENCODING.findall(b"".join(self.head_lines))
                if encoding:
                    self._decoder = decoder_of(encoding[-1].decode("latin-1"))
            if self._decoder is None:
                if not self.broken:
                    self._hold(data)
            else:
                for piece in self._decoder.pieces(data):
                    self._hold(piece)
        except BrokenEncoding:
            self.broken, self._decoder = True, None

    def is_cut(self) -> bool:
        """Whether an answer that libcurl takes for whole has no end of its head."""
        if self.first_ns:
            return False
        for line in reversed(self.head_lines):
            if line in _BLANK:
                return False
            if line.startswith(b"HTTP/"):
                break
        return True

    def is_undecoded(self) -> bool:
        """Whether the body of a whole answer could not be decoded to its end."""
        return self.broken or (self._decoder is not None and not self._decoder.finished)

    def content(self) -> bytes:
        """The body, or what stands for it: its beginning, the needles that were in the middle, its end."""
        held = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        if self._beginning is None:
            return held
        return _SEAM.join((self._beginning, *sorted(self._found), held))

    def _hold(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._held += len(chunk)
        self._chunks.append(chunk)
        if self._held > self._held_most:
            self._condense()

    def _condense(self) -> None:
        held = b"".join(self._chunks)
        self._found |= {needle for needle in self._needles if needle in held}
        if self._beginning is None:
            self._beginning = held[: 2 * BYTES_MOST]  # more than is kept, so that a secret at its end is whole
        tail = held[len(held) - self._overlap :]
        self._chunks, self._held = [tail], len(tail)
