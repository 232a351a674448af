"""The probe of a Kafka broker: which versions of its requests it knows (ApiVersions v0), which it tells to anyone.

Only this one listener is seen. A client follows the addresses that the broker advertises.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.foreign import not_the
from harness.upstreams.probes.talk import Talk, Talking

_API_VERSIONS: Final = 18
_CORRELATION: Final = 0x7461_696C
_CLIENT: Final = b"tailgate"
_BODY: Final = struct.pack("!hhih", _API_VERSIONS, 0, _CORRELATION, len(_CLIENT)) + _CLIENT
REQUEST: Final = struct.pack("!i", len(_BODY)) + _BODY
_LEAST: Final = 6
_MOST: Final = 16 * 1024
_UNSUPPORTED_VERSION: Final = 35
"""A broker that no longer knows version 0 says so in the shape of version 0."""


def ask_kafka(talk: Talk, _upstream: PlannedUpstream) -> Talking[str]:
    talk.say(REQUEST)
    size = int.from_bytes((yield from talk.take(4)), "big", signed=True)
    if not _LEAST <= size <= _MOST:
        return not_the("Kafka", talk.start)
    correlation, error = struct.unpack("!ih", (yield from talk.take(_LEAST)))
    if correlation != _CORRELATION:
        return not_the("Kafka", talk.start)
    yield from talk.take(size - _LEAST)
    return "" if error in (0, _UNSUPPORTED_VERSION) else f"answers ApiVersions with the error {error}"
