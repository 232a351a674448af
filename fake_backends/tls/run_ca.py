"""A certificate authority that lives for one run, and the certificate of the run's listeners.

The authority's key is never written anywhere. OpenSSL reads a listener's key from a file only, so that one is written
into a temporary folder of mode 0700, which is removed as soon as the key is loaded, also if loading fails.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import trustme

from fake_backends.tls.failed_handshakes import WatchedContext
from fake_backends.tls.pem import certificates_in, read_certificates
from fake_backends.tls.system_cas import system_certificates
from harness.errors import RigError
from harness.http1 import ALPN_HTTP_1
from harness.temp_dirs import temp_dir

KEY_FOLDER: Final = "tailgate-key-"
OWN_NAMES: Final = ("127.0.0.1", "::1", "localhost")
VALID: Final = timedelta(hours=24)
EARLIER: Final = timedelta(minutes=10)
"""The certificate is valid from this long before now, for clients whose clock is slow."""


class RunCertificates:
    """An authority and one certificate that it issued for 127.0.0.1, ::1, localhost and `names`.

    `names`: hosts of origins. A host that a certificate cannot carry, such as `my_db`, is left out: the service
    connects to a listener on this machine.
    """

    def __init__(self, names: Iterable[str] = (), *, now: datetime | None = None) -> None:
        authority = trustme.CA(organization_name="tailgate", organization_unit_name="one run only")
        begin = (now or datetime.now(UTC)).replace(tzinfo=None) - EARLIER
        identities = dict.fromkeys((*OWN_NAMES, *(name for name in names if _can_be_certified(authority, name))))
        self.names = tuple(identities)
        self._leaf = authority.issue_cert(
            *identities, organization_name="tailgate", not_before=begin, not_after=begin + EARLIER + VALID
        )
        self.ca_pem = authority.cert_pem.bytes()
        """The authority's certificate, without its key. The key is forgotten here."""

    def server_context(self, alpn: Sequence[str] = ALPN_HTTP_1) -> WatchedContext:
        """For listeners. `alpn`: the protocols that they offer; empty: they offer none. Raises RigError."""
        context = WatchedContext(self.names)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        if alpn:
            context.set_alpn_protocols(list(alpn))
        try:
            with temp_dir(KEY_FOLDER) as folder:
                pem = folder / "leaf.pem"
                pem.touch(mode=0o600)
                pem.write_bytes(self._leaf.private_key_and_cert_chain_pem.bytes())
                context.load_cert_chain(pem)
        except OSError as error:
            raise RigError(
                f"the certificate of the listeners cannot be loaded: {error.strerror or error}",
                "OpenSSL reads it from a temporary folder: give TMPDIR some space and the right to write",
            ) from error
        return context

    def write_bundle(self, path: Path, extra: Mapping[str, Path]) -> None:
        """Write all certificates that the service shall trust: the run's authority first, the files in `extra`, and the
        authorities of this system. No key is written, whatever a file holds.

        `extra`: by what names each file, such as an environment variable. Raises RigError for a file without a
        certificate or that cannot be read, and if the bundle cannot be written.
        """
        found = dict.fromkeys(certificates_in(self.ca_pem.decode("ascii")))
        for named_by, file in extra.items():
            found |= dict.fromkeys(read_certificates(file, named_by))
        found |= dict.fromkeys(system_certificates())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(found), encoding="ascii")
        except OSError as error:
            raise RigError(f"{path} cannot be written: {error.strerror}", "free some disk space") from error


def _can_be_certified(authority: trustme.CA, name: str) -> bool:
    try:
        authority.issue_cert(name)
    except ValueError:  # idna's errors are ValueErrors
        return False
    return bool(name)
