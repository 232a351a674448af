"""The probe of PostgreSQL: the start of a session as user `tailgate`, inside TLS where the server has it.

The answer to a request for TLS alone is one byte, which shows neither a narrow bandwidth nor whether the server is
starting up. So the session is begun, with an option that no server knows: the protocol lets the server repeat its name.
Whatever follows, a demand for a password or a refusal of the user, shows that the server lives. A server that asks for
a password logs nothing of it; one that refuses the user logs a line.
"""

from __future__ import annotations

import struct
from typing import Final, Protocol

from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.foreign import is_tls, not_the
from harness.upstreams.probes.talk import Talk, Talking
from harness.upstreams.probes.tls import Secured

SSL_REQUEST: Final = struct.pack("!II", 8, 80877103)
_VERSION: Final = 3 << 16
_REPEATED: Final = b"_pq_.tailgate".ljust(1_000, b"_")
"""Names of options that begin with `_pq_.` belong to the protocol, so no setting of a server is meant."""
_OPTIONS: Final = b"".join(word + b"\0" for word in (b"user", b"tailgate", b"database", b"tailgate", _REPEATED, b"1"))
STARTUP: Final = struct.pack("!II", 9 + len(_OPTIONS), _VERSION) + _OPTIONS + b"\0"
_TERMINATE: Final = b"X" + struct.pack("!I", 4)
_MESSAGE_MOST: Final = 16 * 1024
_MESSAGES_MOST: Final = 4
_UNAVAILABLE: Final = (b"53", b"57", b"58", b"XX")
"""Classes of SQLSTATE with which a server refuses everyone: no resources, starting or stopping, broken."""


def ask_postgres(talk: Talk, upstream: PlannedUpstream) -> Talking[str]:
    talk.say(SSL_REQUEST)
    answer = yield from talk.take(1)
    if answer == b"E":
        return (yield from _refusal_of(talk, talk))
    if answer not in (b"S", b"N") or talk.waiting:
        # more than one byte before the session began is what another protocol says
        return not_the("PostgreSQL", talk.start)
    if answer == b"N":
        talk.say(STARTUP)
        return (yield from _session(talk, talk))
    secured = Secured(talk, upstream.origin.host)
    if not (yield from secured.shake_hands()):
        # an alert: its TLS does not suit us, but it lives
        return "" if is_tls(talk.start[1:]) else not_the("PostgreSQL", talk.start)
    secured.say(STARTUP)
    verdict = yield from _session(secured, talk)
    secured.close()
    return verdict


class _Line(Protocol):
    """A Talk, or what is secured by TLS in one."""

    def say(self, data: bytes) -> None: ...

    def take(self, size: int) -> Talking[bytes]: ...


def _session(line: _Line, talk: Talk) -> Talking[str]:
    for _ in range(_MESSAGES_MOST):
        kind = yield from line.take(1)
        if not kind:
            return "ends TLS without an answer"
        if kind == b"E":
            return (yield from _refusal_of(line, talk))
        body = yield from _body(line)
        if kind not in (b"v", b"R") or body is None:
            break
        if kind == b"R":
            if body[:4] == bytes(4):  # let in without a password
                line.say(_TERMINATE)
            return ""
    return not_the("PostgreSQL", talk.start)


def _body(line: _Line) -> Talking[bytes | None]:
    """A message's content; None: its length makes no sense."""
    head = yield from line.take(4)
    size = int.from_bytes(head, "big") - 4
    if len(head) < 4 or not 0 <= size <= _MESSAGE_MOST:
        return None
    return (yield from line.take(size))


def _refusal_of(line: _Line, talk: Talk) -> Talking[str]:
    """What an error says of the server, after its first byte: nothing is wrong if it refuses the user alone."""
    body = yield from _body(line)
    if body is None:
        return not_the("PostgreSQL", talk.start)
    state = next((field[1:] for field in body.split(b"\0") if field[:1] == b"C"), b"")
    if not (len(state) == 5 and state.isalnum()):
        return not_the("PostgreSQL", talk.start)
    return f"refuses every session: SQLSTATE {state.decode('ascii')}" if state[:2] in _UNAVAILABLE else ""
