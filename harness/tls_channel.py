"""TLS over a connection that the caller owns: bytes go in and come out, and nothing here is I/O.

asyncio's own TLS closes both directions as soon as the peer ends one, and hides the socket, so that a connection can
neither be half closed nor reset. Canaries and the byte proxy need both.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import cache
from typing import Final

CHUNK_BYTES: Final = 64 * 1024


@cache
def unverified_context() -> ssl.SSLContext:
    """A client's context that accepts any certificate: for what is ours, and where nothing is told or believed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class TlsChannel:
    """One side of one TLS connection. Its methods raise ssl.SSLError, which is an OSError.

    After each call that may produce records (`shake`, `read`, `write`, `end`), send what `to_send` returns.
    """

    def __init__(self, context: ssl.SSLContext, *, server_side: bool = False, server_name: str | None = None) -> None:
        """`server_name`: of the peer, for its certificate and, unless it is an address, for SNI; clients only."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side, server_name)
        self.was_cut = False
        """The connection ended without the peer's close_notify."""
        self._is_ended = False

    def received(self, data: bytes) -> None:
        """Take what the connection received; `b""` is its end of file."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def to_send(self) -> bytes:
        """What the connection must send now; empty: nothing."""
        return self._outgoing.read()

    def shake(self) -> bool:
        """Go on with the handshake. Returns whether it is complete; if not, more must be received."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> bytes | None:
        """Decrypted bytes, at most CHUNK_BYTES; `b""`: the peer has ended its direction; None: receive more first."""
        try:
            return self._tls.read(CHUNK_BYTES)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError:
            self.was_cut = True
            return b""

    def write(self, data: bytes) -> None:
        """Encrypt data, however much it is."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]

    def end(self) -> None:
        """End our direction with close_notify. The other direction can still be read. Idempotent."""
        if self._is_ended:
            return
        self._is_ended = True
        with suppress(ssl.SSLWantReadError):  # the peer has not ended its own direction yet, and need not
            self._tls.unwrap()
