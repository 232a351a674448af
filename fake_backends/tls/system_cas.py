"""The certificate authorities that this system trusts."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import certifi

from fake_backends.tls.pem import FILE_BYTES_MOST, certificates_in

FILES_MOST: Final = 2_000
"""As many files of a folder of certificates are read; systems have a few hundred."""


def system_certificates(defaults: ssl.DefaultVerifyPaths | None = None) -> tuple[str, ...]:
    """Their certificates in PEM: from OpenSSL's own file or folder, or from certifi where the system has none.

    SSL_CERT_FILE and SSL_CERT_DIR do not count here: they say what the caller trusts in the system's place.
    """
    paths = defaults or ssl.get_default_verify_paths()
    found = tuple(dict.fromkeys(_of_file(Path(paths.openssl_cafile))))
    found = found or tuple(dict.fromkeys(_of_folder(Path(paths.openssl_capath))))
    return found or tuple(dict.fromkeys(_of_file(Path(certifi.where()))))


def _of_folder(folder: Path) -> Iterator[str]:
    try:
        files = sorted(islice(folder.iterdir(), FILES_MOST))
    except OSError:
        return
    for file in files:
        yield from _of_file(file)


def _of_file(file: Path) -> Iterator[str]:
    try:
        if not file.is_file() or file.stat().st_size > FILE_BYTES_MOST:
            return
        yield from certificates_in(file.read_text("latin-1"))
    except OSError:
        return
