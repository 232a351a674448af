"""The body of an answer as it arrives: whole up to a limit, and beyond it only what the checks need of it.

So an answer of a gigabyte takes no gigabyte. Checks look for strings in the body; those that were found in a part that
is no longer held are appended to what is, so that the checks find them there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from harness.rundir.incomplete import BYTES_MOST

HELD_MOST: Final = 256 * 1024
"""Bytes of one body that are held. The beginning of an incomplete answer that is kept for people is shorter."""
HELD_MOST_PARSED: Final = 16 * 1024 * 1024
"""The same where a jmespath expression reads the body, which must be whole for that: a longer one is a bad answer."""
_SEAM: Final = b"\0"
"""Stands between parts, so that no string is found across them."""


class Body:
    """One answer's decoded body. `needles`: the strings that checks look for."""

    __slots__ = ("_beginning", "_chunks", "_found", "_held", "_held_most", "_needles", "_overlap", "first_ns", "size")

    def __init__(self, needles: Sequence[bytes], held_most: int = HELD_MOST) -> None:
        self._needles = tuple(needles)
        self._overlap = max((len(needle) for needle in needles), default=1) - 1
        self._held_most = max(held_most, self._overlap + 1)
        self.clear()

    def clear(self) -> None:
        """For the next answer."""
        self.size = 0
        """Bytes that have arrived."""
        self.first_ns = 0
        """When the first of them did (monotonic); 0: none has."""
        self._held = 0
        self._chunks: list[bytes] = []
        self._beginning: bytes | None = None
        self._found: set[bytes] = set()

    def write(self, chunk: bytes) -> None:
        """The next bytes."""
        if not self.size:
            self.first_ns = time.monotonic_ns()
        self.size += len(chunk)
        self._held += len(chunk)
        self._chunks.append(chunk)
        if self._held > self._held_most:
            self._condense()

    def content(self) -> bytes:
        """The body, or what stands for it: its beginning, the needles that were in the middle, its end."""
        held = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        if self._beginning is None:
            return held
        return _SEAM.join((self._beginning, *sorted(self._found), held))

    def _condense(self) -> None:
        held = b"".join(self._chunks)
        self._found |= {needle for needle in self._needles if needle in held}
        if self._beginning is None:
            self._beginning = held[: 2 * BYTES_MOST]  # more than is kept, so that a secret at its end is whole
        tail = held[len(held) - self._overlap :]
        self._chunks, self._held = [tail], len(tail)
