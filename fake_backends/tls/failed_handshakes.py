"""Handshakes of the service with a listener that fail: why, and what the user can do about it.

OpenSSL knows the reason, uvloop and uvicorn pass it on to nobody, and it would be in no record: a service that does not
trust the certificate of the run never sends a request. Which mistake it is is decided by the alert that the client
sent, or by OpenSSL's code for what it received. A client that just hangs up, as node does, tells nothing, and is not
counted here: a fault on the wire may have made it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection
from typing import Final

_AUTHORITY: Final = ("TLSV1_ALERT_UNKNOWN_CA",)
_CERTIFICATE: Final = (
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "TLSV1_ALERT_DECRYPT_ERROR",
    "TLSV1_UNRECOGNIZED_NAME",
)
_EXPIRED: Final = ("SSLV3_ALERT_CERTIFICATE_EXPIRED",)
_PLAIN_HTTP: Final = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST")
NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "UNEXPECTED_MESSAGE")
_NOTHING_COMMON: Final = (
    "UNSUPPORTED_PROTOCOL",
    "NO_SHARED_CIPHER",
    "VERSION_TOO_LOW",
    "NO_PROTOCOLS_AVAILABLE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
)
_TRUST: Final = (
    "let the service trust the run's authority: it is in the file `{ca}`, and SSL_CERT_FILE and its like name that file"
)
_SPEAK: Final = "let the service use `{NAME.url}`, which begins with https://, or remove `tls: terminate`"

Tell = Callable[[str, str], None]
"""Takes the reason, a clause whose subject is the service, and what to do about it."""


class WatchedHandshake(ssl.SSLObject):
    """One side of a connection in TLS, whose context has `watched` it. Only the first failure counts."""

    asked_name: str | None = None
    """The name that the client asked for (SNI)."""
    _told = False

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError):
            raise
        except ssl.SSLError as error:
            if not self._told and isinstance(self.context, WatchedContext):
                self._told = True
                self.context.tell(*self.context.reason(error.reason or "", self.asked_name))
            raise


class WatchedContext(ssl.SSLContext):
    """The TLS of one listener. `tell` is called once for each of its handshakes that fails; it is set before use.

    `names`: the certificate is for these.
    """

    tell: Tell
    names: Collection[str]
    sslobject_class = WatchedHandshake

    def __new__(cls, names: Collection[str] = ()) -> WatchedContext:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made.names = names
        made.tell = _to_nobody
        made.sni_callback = _keep_name
        return made

    def reason(self, code: str, asked_name: str | None) -> tuple[str, str]:
        """Why a handshake failed, and what to do. `code`: OpenSSL's mnemonic, such as HTTP_REQUEST."""
        if code in (*_AUTHORITY, *_CERTIFICATE) and asked_name and asked_name.lower() not in self.names:
            fix = f"let the service use the host of `{{NAME.url}}`; the certificate is for {', '.join(self.names)}"
            return f"it asked for the name {asked_name}, which the certificate does not have", fix
        if code in _AUTHORITY:
            return "it does not trust the certificate authority of the run", _TRUST
        if code in _CERTIFICATE:
            return "it did not accept the certificate", _TRUST
        if code in _EXPIRED:
            return "it takes the certificate for expired", "set the clock of the service"
        if code in _PLAIN_HTTP:
            return "it sent plain HTTP, and TLS is spoken there", _SPEAK
        if code in NOT_TLS:
            return "it sent something that is not TLS", _SPEAK
        if code in _NOTHING_COMMON:
            return "it offers no version or cipher of TLS that is in use here", "let the service offer TLS 1.2 or 1.3"
        return f"OpenSSL says {code or 'nothing'}", "see the log of the service"


def _keep_name(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
    if isinstance(connection, WatchedHandshake):
        connection.asked_name = name


def _to_nobody(_reason: str, _fix: str) -> None:
    """Outside a run nobody wants to know."""
