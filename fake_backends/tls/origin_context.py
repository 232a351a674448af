"""TLS towards real origins, and what is wrong with an origin that cannot be used.

`check_origin` opens one connection before a run and says why it fails, in words. Which mistake it is is decided by the
kinds and codes of errors, never by their messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fake_backends.tls.connecting import connected
from fake_backends.tls.failed_handshakes import NOT_TLS
from harness.errors import RigError
from harness.http1 import ALPN_HTTP_1
from harness.rundir.planned.forwarding import ForwardSpec, StreamSpec
from harness.text import listed
from harness.tls_channel import unverified_context

NAMES_SHOWN: Final = 5
_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_OTHER_NAME: Final = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL's x509_vfy.h, as the numbers above."""
_UNKNOWN_ISSUER: Final = (2, 18, 19, 20, 21)
_UNREACHABLE: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


def origin_context(ca: Path | None, alpn: Sequence[str] = ALPN_HTTP_1) -> ssl.SSLContext:
    """Verifies certificates by the authorities of the system, or only by those in the file `ca`.

    `alpn`: the protocols that are offered; empty: none. Raises RigError if the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError too: a file without certificates
        why = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise RigError(f"the certificate authorities in {ca} cannot be used: {why}", "mend `ca`") from error
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def context_of(spec: ForwardSpec | StreamSpec) -> ssl.SSLContext | None:
    """The context for connections to the real server; None if it is not spoken to in TLS. Raises RigError."""
    ca = Path(spec.ca) if spec.ca else None
    if isinstance(spec, ForwardSpec):
        return origin_context(ca) if spec.scheme == "https" else None
    return origin_context(ca, alpn=()) if spec.originates else None


async def check_origin(
    host: str, port: int, context: ssl.SSLContext | None, server_name: str, timeout_s: float
) -> None:
    """Connect to the origin once, with a handshake if there is a `context`. Raises RigError that says what is wrong."""
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            sock = await connected(host, port, timeout_s)
            _, writer = await asyncio.open_connection(
                sock=sock, ssl=context, server_hostname=server_name if context else None
            )
    except ssl.SSLCertVerificationError as error:
        raise await _certificate_error(error, host, port, server_name, timeout_s) from error
    except ssl.SSLError as error:
        raise _handshake_error(error, where) from error
    except TimeoutError as error:
        fix = "is it running, and does a firewall drop packets to it?"
        raise RigError(f"{where} did not answer within {timeout_s:g} s", fix) from error
    except OSError as error:
        raise _connection_error(error, host, port, in_tls=context is not None) from error
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            await writer.wait_closed()


def _connection_error(error: OSError, host: str, port: int, *, in_tls: bool) -> RigError:
    where = f"{host}:{port}"
    if isinstance(error, socket.gaierror):
        return RigError(f"the name {host} does not resolve to an address", "mend the host, or the DNS of this machine")
    if isinstance(error, ConnectionRefusedError):
        return RigError(f"{where} refused the connection", "start what should listen there, or mend the port")
    if error.errno in _UNREACHABLE:
        return RigError(f"there is no route to {where}", "is the network or the VPN up?")
    if in_tls and isinstance(error, ConnectionError):
        return RigError(f"{where} closed the connection in the TLS handshake", "if it speaks no TLS, write http://")
    return RigError(f"{where} cannot be reached: {error.strerror or type(error).__name__}", "mend the host or the port")


def _handshake_error(error: ssl.SSLError, where: str) -> RigError:
    if error.reason in ("HTTP_REQUEST", *NOT_TLS):
        return RigError(f"{where} does not speak TLS", "write http:// in place of https://, or mend the port")
    if isinstance(error, ssl.SSLEOFError):
        return RigError(f"{where} closed the connection in the TLS handshake", "if it speaks no TLS, write http://")
    return RigError(
        f"the TLS handshake with {where} failed: {error.reason or 'no reason was given'}", "mend the origin"
    )


async def _certificate_error(
    error: ssl.SSLCertVerificationError, host: str, port: int, server_name: str, timeout_s: float
) -> RigError:
    where, code = f"{host}:{port}", error.verify_code
    if code in _OTHER_NAME:
        names = await _names_of(host, port, server_name, timeout_s)
        named = listed(names, NAMES_SHOWN) or "no name at all"
        message = f"the certificate of {where} is not for {server_name}: it is for {named}"
        return RigError(message, "write the URL with a name of the certificate")
    if code in _UNKNOWN_ISSUER:
        kind = "is self-signed" if code in (18, 19) else "was issued by an authority that is not trusted here"
        fix = "name the file of its certificate authority: ca: FILE"
        return RigError(f"the certificate of {where} {kind}", fix)
    if code == _EXPIRED:
        return RigError(f"the certificate of {where} has expired", "renew it")
    if code == _NOT_YET_VALID:
        return RigError(f"the certificate of {where} is not valid yet", "is the clock of this machine right?")
    return RigError(f"the certificate of {where} cannot be verified: {error.verify_message}", "renew it, or mend `ca`")


async def _names_of(host: str, port: int, server_name: str, timeout_s: float) -> tuple[str, ...]:
    """The names that the origin's certificate is for, for a message: nothing is trusted because of them."""
    from cryptography import x509

    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port, ssl=unverified_context(), server_hostname=server_name)
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True)
        writer.close()
        names = x509.load_der_x509_certificate(shown or b"").extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except (OSError, ValueError, x509.ExtensionNotFound):
        return ()
    return tuple(str(name.value) for name in names.value)
