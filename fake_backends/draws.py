"""Random draws that depend on what is asked, never on when: two runs of one seed draw the same.

A stateful generator would give its next number to whichever call came first, and the order of arrival differs from run
to run. Here a draw is a hash of (seed, stream, upstream, seq, nth call).
"""

from __future__ import annotations

import hashlib
import struct

_KEY = struct.Struct("<QQ")
_STEPS = 2**52  # as many values as fit between 0 and 1 without the last one being rounded to 1


class Draws:
    """The draws of one upstream for one purpose (`stream`, for instance `latency`)."""

    def __init__(self, seed: int, stream: str, upstream: str) -> None:
        self._prefix = hashlib.blake2b(f"{seed}\0{stream}\0{upstream}\0".encode(), digest_size=8)

    def uniform(self, seq: int, nth: int) -> float:
        """Uniform in the open interval (0, 1), for the nth call (from 0) that request `seq` makes."""
        state = self._prefix.copy()
        state.update(_KEY.pack(seq, nth))
        return ((int.from_bytes(state.digest(), "little") >> 12) + 0.5) / _STEPS


class CallCounter:
    """Which call of its request each call is, remembered for the latest `limit` requests.

    An older request starts again at 0, so that memory stays bounded. With a limit above what can be in flight at once,
    no client waits for such a request any more.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: dict[int, int] = {}

    def nth(self, seq: int) -> int:
        """The number of the request's next call, from 0."""
        nth = self._seen.get(seq, 0)
        if not nth and len(self._seen) >= self._limit:
            del self._seen[next(iter(self._seen))]
        self._seen[seq] = nth + 1
        return nth
