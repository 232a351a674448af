"""The probe of MySQL and MariaDB: a whole handshake as user `tailgate` without a password.

The server speaks first. That it denies the user is the sign of life: a handshake that is left half done would count
against this host until the server blocks it.
"""

from __future__ import annotations

import struct
from typing import Final

from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.foreign import not_the
from harness.upstreams.probes.talk import Talk, Talking

_PROTOCOL: Final = 10
_ERROR: Final = 0xFF
_SWITCH: Final = 0xFE
_MORE: Final = 0x01
_OK: Final = 0x00
_PACKET_MOST: Final = 4 * 1024
_ROUNDS_MOST: Final = 5
_QUIT: Final = b"\x01\0\0\0\x01"
_CAPABILITIES: Final = 0x1 | 0x200 | 0x8000 | 0x80000
"""Long passwords, protocol 4.1, its authentication, and the names of authentication plugins."""
_UTF8: Final = 33
_NATIVE: Final = b"mysql_native_password"
_REPLY: Final = struct.pack("<IIB23x", _CAPABILITIES, 1 << 24, _UTF8) + b"tailgate\0" + b"\0" + _NATIVE + b"\0"
_EMPTY_PASSWORDS: Final = {_NATIVE: b"", b"mysql_old_password": b""}
"""What stands for no password, by the authentication plugin; one zero byte in all others."""
UNAVAILABLE: Final = {
    1040: "too many connections",
    1042: "it cannot find out who asks",
    1053: "it is shutting down",
    1129: "this host is blocked after broken handshakes",
    1130: "this host is not allowed in",
    1203: "too many connections",
}
"""Errors with which a server refuses everyone from here, by their number."""


def ask_mysql(talk: Talk, _upstream: PlannedUpstream) -> Talking[str]:
    _, greeting = yield from _packet(talk, first=True)
    if not greeting:
        return not_the("MySQL", talk.start)
    if greeting[0] == _ERROR:
        return _refusal(greeting) or "refuses the connection before the handshake"
    number = 1
    answer = _REPLY
    for _ in range(_ROUNDS_MOST):
        talk.say(len(answer).to_bytes(3, "little") + bytes((number,)) + answer)
        sequence, packet = yield from _packet(talk)
        kind = packet[0] if packet else None
        if kind == _ERROR:
            return _refusal(packet)
        if kind == _OK:
            talk.say(_QUIT)
            return ""
        if kind == _SWITCH:
            plugin = packet[1:].split(b"\0", 1)[0]
            answer = _EMPTY_PASSWORDS.get(plugin, b"\0")
        elif kind == _MORE:
            answer = b"\0"  # it wants the password itself, and there is none
        else:
            break
        number = (sequence + 1) % 256
    return not_the("MySQL", talk.start)


def _packet(talk: Talk, *, first: bool = False) -> Talking[tuple[int, bytes]]:
    """The number and content of the next packet; empty content if it is none. `first`: it is a greeting or an error."""
    head = yield from talk.take(4)
    size = int.from_bytes(head[:3], "little")
    if not 0 < size <= _PACKET_MOST or (first and head[3] != 0):
        return 0, b""
    if first:
        kind = yield from talk.take(1)
        if kind[0] not in (_PROTOCOL, _ERROR):
            return 0, b""
        return 0, kind + (yield from talk.take(size - 1))
    return head[3], (yield from talk.take(size))


def _refusal(packet: bytes) -> str:
    number = int.from_bytes(packet[1:3], "little")
    reason = UNAVAILABLE.get(number)
    return f"refuses everyone from here: {reason} (error {number})" if reason else ""
