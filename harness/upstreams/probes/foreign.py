"""What a server speaks that does not speak the expected protocol, by the first bytes of its answer. For people only."""

from __future__ import annotations

from typing import Final

_SHOWN_BYTES: Final = 16
_TLS_ALERT: Final = 0x15
_TLS_HANDSHAKE: Final = 0x16
_TLS_MAJOR: Final = 3
_MYSQL_PROTOCOL: Final = 10


def is_tls(start: bytes) -> bool:
    """Whether a TLS record with an alert or a handshake begins here."""
    return len(start) >= 2 and start[0] in (_TLS_ALERT, _TLS_HANDSHAKE) and start[1] == _TLS_MAJOR


def not_the(protocol: str, start: bytes) -> str:
    """What is wrong with a server whose answer begins so and is not of this protocol."""
    if is_tls(start):
        return f"asks for TLS, so its {protocol} cannot be seen: the answer is a TLS record"
    return f"not {protocol}: the answer {_describe(start)}"


def _describe(start: bytes) -> str:
    if start[:5] == b"HTTP/":
        return f"begins with {_printable(start.split(None, 1)[0])}"
    if len(start) >= 5 and start[1:5] == bytes((0, 0, 0, _MYSQL_PROTOCOL)):
        return "is a greeting of MySQL"
    if start[:4] == b"AMQP":
        return "begins with AMQP"
    shown = start.splitlines()[0][:_SHOWN_BYTES] if start else b""
    if shown and _is_text(shown):
        return f"begins with {_printable(shown)}"
    return f"begins with the bytes {start[: _SHOWN_BYTES // 2].hex(' ')}"


def _is_text(data: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in data)


def _printable(data: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in data[:_SHOWN_BYTES]).strip()
