"""The probe of gRPC without TLS: the preface of HTTP/2. The server's SETTINGS frame is the sign of life; no call is
made, so no service has to be known. The connection is ended as the protocol asks."""

from __future__ import annotations

from typing import Final

from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.foreign import not_the
from harness.upstreams.probes.talk import Talk, Talking

_SETTINGS: Final = 4
_GOAWAY: Final = 7
_ACK: Final = 1
_SETTING_BYTES: Final = 6
_SETTINGS_MOST: Final = 100 * _SETTING_BYTES
_GOAWAY_MOST: Final = 4 * 1024


def _frame(kind: int, flags: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + bytes(4) + payload


REQUEST: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0)
_FAREWELL: Final = _frame(_SETTINGS, _ACK) + _frame(_GOAWAY, 0, bytes(8))


def ask_grpc(talk: Talk, _upstream: PlannedUpstream) -> Talking[str]:
    talk.say(REQUEST)
    head = yield from talk.take(9)
    size, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], head[5:]
    if kind == _SETTINGS and not flags and not any(stream) and size <= _SETTINGS_MOST and not size % _SETTING_BYTES:
        yield from talk.take(size)
        talk.say(_FAREWELL)
        return ""
    if kind == _GOAWAY and not any(stream) and 8 <= size <= _GOAWAY_MOST:
        payload = yield from talk.take(8)
        return f"refuses the connection: GOAWAY with the error {int.from_bytes(payload[4:], 'big')}"
    return not_the("HTTP/2", talk.start)
