"""Redacts secrets in texts and logs, in every encoding in which programs print them.

A secret is searched for literally, and as encoded in a URL, in JSON, in a Python or shell literal, in HTML, in base64
at any alignment (`Basic` authentication) and line by line. `harness.secrets.expand` decides what is a secret; nothing
else is redacted here.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

from harness.text import one_line

REDACTED: Final = "***"
SECRET_LENGTH: Final = 6
"""Characters. A value of this length or more is redacted anywhere in a text, a shorter one only as a whole word."""
WITHIN_S: Final = 3.0
_CHUNK_BYTES: Final = 4 * 1024 * 1024
_CUT_NOTE: Final = b"\n[cut here by tailgate: %d more bytes could not be searched for secrets in time]\n"
_Pattern = tuple[bytes, re.Pattern[bytes] | None]
_CUT_MARK: Final = "…"
_BASE64_LEAST: Final = 8
"""Fewer characters of base64 may match by chance."""


@lru_cache(maxsize=256)
def encodings_of(secret: str) -> tuple[str, ...]:
    """Every encoding of the secret that may be printed, the longest first."""
    import html  # a late import, since most scenarios have no secret

    found: set[str] = set()
    for text in (secret, secret.strip(), *_lines(secret)):
        found |= {
            text,
            quote(text, safe=""),
            quote(text),
            quote_plus(text),
            quote(text, safe="").replace("%", "%25"),
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            json.dumps(text).replace("/", "\\/")[1:-1],
            repr(text)[1:-1],
            ascii(text)[1:-1],
            shlex.quote(text).removeprefix("'").removesuffix("'"),
            html.escape(text),
            html.escape(text, quote=False),
            one_line(text, len(text)),
        }
        found |= set(_in_base64(text))
    found |= {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), text) for text in found if "%" in text}
    least = 1 if is_short(secret) else SECRET_LENGTH
    return tuple(sorted((text for text in found if len(text) >= least), key=lambda text: (-len(text), text)))


def is_short(secret: str) -> bool:
    return len(secret.strip()) < SECRET_LENGTH


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with the secrets replaced, also the beginning of a secret in whose middle `text` was cut (`…`)."""
    for secret in sorted(secrets, key=len, reverse=True):
        for spelled in encodings_of(secret):
            if is_short(secret):
                text = re.sub(_as_a_word(re.escape(spelled)), REDACTED, text)
                continue
            text = text.replace(spelled, REDACTED)
            if _CUT_MARK in text:
                text = _without_beginnings(text, spelled)
    return text


def redact_beginning(content: bytes, secrets: Iterable[str], most: int) -> bytes:
    """The first `most` bytes of a text, with stars in place of secrets, including one that is cut at the end."""
    found = dict(pattern for secret in secrets for pattern in _patterns(secret))
    patterns = sorted(found.items(), key=lambda pattern: -len(pattern[0]))
    margin = max((len(literal) for literal in found), default=0)
    return _starred(content[: most + margin], patterns)[:most]


def redact_files(paths: Iterable[Path], secrets: Iterable[str], within_s: float = WITHIN_S) -> None:
    """Replaces each byte of the secrets in these closed files by a star. Raises OSError.

    It works in place, so it needs no disk space and little memory, and an interrupted call has done part of the work.
    The rest of a file that cannot be searched within `within_s` seconds (for all files) may contain a secret, so it is
    cut off, with a note in the file. Files without secrets are not changed. Symbolic links and special files are
    skipped, since a service may have put them there.
    """
    end_s = time.monotonic() + within_s
    found = dict(pattern for secret in secrets for pattern in _patterns(secret))
    patterns = sorted(found.items(), key=lambda pattern: -len(pattern[0]))  # one secret may be the beginning of another
    failed: OSError | None = None
    for path in paths if patterns else ():
        try:
            _redact_file(path, patterns, end_s)
        except OSError as exc:  # go on, since the other files still contain secrets
            failed = failed or exc
    if failed:
        raise failed


def _redact_file(path: Path, patterns: Sequence[_Pattern], end_s: float) -> None:
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        if path.is_symlink() or not path.is_file():
            return
        raise
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return
        margin = max(len(literal) for literal, _ in patterns)
        for at in range(0, status.st_size, _CHUNK_BYTES):
            if time.monotonic() > end_s:
                os.ftruncate(handle, at)
                os.pwrite(handle, _CUT_NOTE % (status.st_size - at), at)
                return
            begin = max(0, at - 1)  # with the character before, to see whether a word begins at the chunk
            before = os.pread(handle, _CHUNK_BYTES + margin + 1, begin)
            after = _starred(before, patterns)
            if after != before:
                os.pwrite(handle, after, begin)
    finally:
        os.close(handle)


def _starred(content: bytes, patterns: Sequence[_Pattern]) -> bytes:
    for literal, word in patterns:
        if literal not in content:  # ten times as fast as a regular expression without a match
            continue
        stars = b"*" * len(literal)
        content = content.replace(literal, stars) if word is None else word.sub(stars, content)
    return content


def _patterns(secret: str) -> Iterator[_Pattern]:
    """The bytes to search for, and for a short secret a pattern that matches them as a whole word."""
    found: dict[bytes, re.Pattern[bytes] | None] = {}
    for spelled in encodings_of(secret):
        for encoding in ("utf-8", "latin-1"):
            try:
                literal = spelled.encode(encoding, "surrogateescape")
            except UnicodeEncodeError:
                continue
            word = _as_a_word(re.escape(literal.decode("latin-1"))).encode("latin-1")
            found[literal] = re.compile(word) if is_short(secret) else None
    yield from found.items()


def _as_a_word(escaped: str) -> str:
    return rf"(?<![A-Za-z0-9_]){escaped}(?![A-Za-z0-9_])"


def _lines(secret: str) -> Iterator[str]:
    """The longer lines of a secret with several lines (a key in PEM), since a log may prefix each line."""
    if "\n" in secret.strip():
        yield from (line.strip() for line in secret.splitlines() if len(line.strip()) >= 2 * SECRET_LENGTH)


def _in_base64(text: str) -> Iterator[str]:
    """The base64 of the text at each of the three alignments, since it may follow another text as in `user:secret`."""
    raw = text.encode("utf-8", "surrogateescape")
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        begin = (8 * before + 5) // 6  # the characters before depend on the text before
        whole = 8 * (before + len(raw)) // 6  # those after depend on the text after
        middle = encoded[begin:whole]
        if len(middle) >= _BASE64_LEAST:
            yield middle
            yield middle.replace("+", "-").replace("/", "_")


def _without_beginnings(text: str, spelled: str) -> str:
    """Redacts the beginning of a secret directly before a cut mark (`…`): the text was cut in the secret's middle."""
    pieces = text.split(_CUT_MARK)
    for index, piece in enumerate(pieces[:-1]):
        for length in range(min(len(spelled) - 1, len(piece)), 3, -1):
            if piece.endswith(spelled[:length]):
                pieces[index] = piece[:-length] + REDACTED
                break
    return _CUT_MARK.join(pieces)
