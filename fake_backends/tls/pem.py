"""Certificates in PEM files. Keys and whatever else stands in them is passed over."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness.errors import RigError

FILE_BYTES_MOST: Final = 16 << 20
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
_LINE: Final = 64
_BLANKS: Final = re.compile(r"\s+")


def certificates_in(text: str) -> Iterator[str]:
    """Each certificate, in one spelling, so that equal ones are equal texts. A damaged one is passed over."""
    begin = text.find(_BEGIN)
    while begin >= 0:
        end = text.find(_END, begin)
        if end < 0:
            return
        body = _BLANKS.sub("", text[begin + len(_BEGIN) : end])
        if _is_base64(body):
            lines = (body[at : at + _LINE] for at in range(0, len(body), _LINE))
            yield "\n".join((_BEGIN, *lines, _END, ""))
        begin = text.find(_BEGIN, end)


def read_certificates(path: Path, named_by: str) -> tuple[str, ...]:
    """The certificates in a file. `named_by`: what names the file, for messages. Raises RigError if there is none."""
    where = f"{named_by} names {path}"
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MOST + 1)
    except IsADirectoryError:
        raise RigError(f"{where}, which is a folder", "name one file with certificates in PEM") from None
    except OSError as error:
        raise RigError(
            f"{where}, which cannot be read: {error.strerror}", f"mend the path, or unset {named_by}"
        ) from error
    if len(data) > FILE_BYTES_MOST:
        raise RigError(f"{where}, which is larger than {FILE_BYTES_MOST >> 20} MiB", "name a file with certificates")
    found = tuple(certificates_in(data.decode("latin-1")))
    if not found:
        raise RigError(f"{where}, which holds no certificate in PEM", f"mend the path, or unset {named_by}")
    return found


def _is_base64(text: str) -> bool:
    try:
        return bool(binascii.a2b_base64(text, strict_mode=True))
    except (binascii.Error, ValueError):
        return False
