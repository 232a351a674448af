"""The probe of a server behind TLS: a handshake. Its end is a sign of life, and so is an alert.

Nothing is told to the server, so its certificate is not verified: which certificates the service trusts is its affair.
"""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
from functools import cache

from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.probes.foreign import is_tls, not_the
from harness.upstreams.probes.talk import Talk, Talking, TalkProbe


class TlsProbe(TalkProbe):
    def __init__(self, upstream: PlannedUpstream, *, reads_to_end: bool) -> None:
        def conversation(talk: Talk) -> Talking[str]:
            secured = Secured(talk, upstream.origin.host)
            if not (yield from secured.shake_hands()):
                return "" if is_tls(talk.start) else not_the("TLS", talk.start)
            secured.close()
            return ""

        super().__init__(conversation, reads_to_end=reads_to_end)


class Secured:
    """A talk inside TLS. It can be talked to as a Talk once `shake_hands` has returned True."""

    def __init__(self, outer: Talk, host: str) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if _is_address(host) else host
        self._tls = _context().wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    def shake_hands(self) -> Talking[bool]:
        """Returns whether the handshake ended well. If not, the server sent an alert, or what is no TLS."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._incoming.write((yield from self._outer.take_any()))
            except ssl.SSLError:
                self._flush()
                return False
            else:
                self._flush()
                return True

    def say(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def take(self, size: int) -> Talking[bytes]:
        """The next `size` bytes; fewer if the server ended TLS."""
        taken = b""
        while len(taken) < size:
            try:
                piece = self._tls.read(size - len(taken))
            except ssl.SSLWantReadError:
                self._flush()
                self._incoming.write((yield from self._outer.take_any()))
                continue
            except ssl.SSLError:
                return taken
            if not piece:
                return taken
            taken += piece
        return taken

    def close(self) -> None:
        """Tell the server that nothing follows, so that it logs no broken connection."""
        with contextlib.suppress(ssl.SSLError):  # the server's own farewell has not come, and is not waited for
            self._tls.unwrap()
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._outer.say(self._outgoing.read())


@cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
