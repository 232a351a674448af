"""The probe of an AMQP broker: the header of AMQP 0-9-1. Connection.Start answers it; a header means another version,
which is a sign of life as well. A broker may log that the connection was not opened."""

from __future__ import annotations

import struct
from typing import Final

from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.foreign import not_the
from harness.upstreams.probes.talk import Talk, Talking

HEADER: Final = b"AMQP\0\0\x09\x01"
_METHOD: Final = 1
_START: Final = (10, 10)
_CLOSE: Final = (10, 50)
_END: Final = b"\xce"
_MOST: Final = 32 * 1024


def ask_amqp(talk: Talk, _upstream: PlannedUpstream) -> Talking[str]:
    talk.say(HEADER)
    head = yield from talk.take(7)
    if head[:4] == b"AMQP":
        yield from talk.take(1)
        return ""
    kind, channel, size = struct.unpack("!BHI", head)
    if (kind, channel) != (_METHOD, 0) or not 4 <= size <= _MOST:
        return not_the("AMQP", talk.start)
    payload = yield from talk.take(size + 1)
    method = struct.unpack("!HH", payload[:4])
    if method == _CLOSE:
        return "closes the connection before it is opened"
    return "" if method == _START and payload[-1:] == _END else not_the("AMQP", talk.start)
