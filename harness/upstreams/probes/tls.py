"""The probe of a server behind TLS: a handshake. Its end is a sign of life, and so is an alert.

Nothing is told to the server, so its certificate is not verified: which certificates the service trusts is its affair.
"""

from __future__ import annotations

import contextlib
import ssl

from harness.rundir.planned.upstream import PlannedUpstream
from harness.tls_channel import TlsChannel, unverified_context
from harness.upstreams.probes.foreign import is_tls, not_the
from harness.upstreams.probes.talk import Talk, Talking


def ask_tls(talk: Talk, upstream: PlannedUpstream) -> Talking[str]:
    secured = Secured(talk, upstream.origin.host)
    if not (yield from secured.shake_hands()):
        return "" if is_tls(talk.start) else not_the("TLS", talk.start)
    secured.close()
    return ""


class Secured:
    """A talk inside TLS. It can be talked to as a Talk once `shake_hands` has returned True."""

    def __init__(self, outer: Talk, host: str) -> None:
        self._outer = outer
        self._channel = TlsChannel(unverified_context(), server_name=host)
        self._waiting = b""

    def shake_hands(self) -> Talking[bool]:
        """Returns whether the handshake ended well. If not, the server sent an alert, or what is no TLS."""
        try:
            while not self._channel.shake():
                yield from self._hear()
        except ssl.SSLError:
            return False
        finally:
            self._flush()
        return True

    def say(self, data: bytes) -> None:
        self._channel.write(data)
        self._flush()

    def take(self, size: int) -> Talking[bytes]:
        """The next `size` bytes; fewer if the server ended TLS."""
        with contextlib.suppress(ssl.SSLError):
            while len(self._waiting) < size:
                piece = self._channel.read()
                if piece == b"":
                    break
                if piece is None:
                    yield from self._hear()
                else:
                    self._waiting += piece
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return taken

    def close(self) -> None:
        """Tell the server that nothing follows, so that it logs no broken connection."""
        with contextlib.suppress(ssl.SSLError):
            self._channel.end()
        self._flush()

    def _hear(self) -> Talking[None]:
        self._flush()
        self._channel.received((yield from self._outer.take_any()))

    def _flush(self) -> None:
        self._outer.say(self._channel.to_send())
