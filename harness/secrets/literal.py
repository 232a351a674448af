"""Finds secrets that are written out in a text, by the names that they stand under. Pure.

A scenario, and the plan of each run, are files that many can read. Who calls decides what to do about a secret there.
`harness.secrets.names` says which names hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.secrets.names import holds_a_secret, words_of
from harness.secrets.syntax import REFERENCE

_PLAIN: Final = re.compile(
    r"true|false|yes|no|on|off|[01]|none|null|basic|bearer|\S{1,300}\.(pem|key|crt|p12|jks|json)"
    r"|(?-i:[.~]{0,2}(/[a-z0-9._-]{1,60}){2,20})",
    re.I,
)
"""Switches, schemes and files, which are no secrets whatever their name."""
_MARK: Final = "\ue000"
"""Stands for what is filled in later: a variable or a template."""
_FILLED: Final = re.compile(rf"{REFERENCE}|\{{[A-Za-z][A-Za-z0-9_.-]{{0,120}}\}}")
_BRACES: Final = re.compile(r"\{\{")
_URL_LOGIN: Final = re.compile(r"://[^\s/?#@:]{0,300}:([^\s/?#]{1,500})@")
_PAIR: Final = re.compile(r"(?:^|[\s;?&,])([A-Za-z_-][A-Za-z0-9_.-]{0,80})\s{0,3}=\s{0,3}[\"']?([^\s;&,\"']{1,500})")


@dataclass(frozen=True, slots=True)
class LiteralSecret:
    """`where`: what holds it, for people. `variable`: a name for the variable that may take its place."""

    where: str
    variable: str


def literal_secret(name: str, text: str) -> LiteralSecret | None:
    """The first secret in the value of a variable or a header, or None: the whole value, or a part as below."""
    if holds_a_secret(name) and _is_literal(_hidden(text)):
        return LiteralSecret(f"the value of `{name}`", _variable(name))
    return literal_in(name, text)


def literal_in(name: str, text: str) -> LiteralSecret | None:
    """The first secret within a text: the password of a URL, or the value of a pair such as `password=…`; else None."""
    hidden = _hidden(text)
    for match in _URL_LOGIN.finditer(hidden):
        if _is_literal(match[1].replace(_MARK, "")):  # as in an upstream's `url`, the whole password is a variable
            stem = re.sub(r"_?(URLS?|URI|DSN|ADDRESS)$", "", _variable(name))
            return LiteralSecret("a password in a URL", f"{stem}_PASSWORD".lstrip("_"))
    for match in _PAIR.finditer(hidden):
        key = re.sub(r"^-+(D(?=[a-z]))?", "", match[1])
        if (key.lower() == "pwd" or holds_a_secret(key)) and _is_literal(match[2]):
            return LiteralSecret(f"the value of `{key}`", _variable(key))
    return None


def literal_in_words(words: tuple[str, ...]) -> LiteralSecret | None:
    """The first secret in the words of a command: after a flag as in `--password s3cret`, or in a word as above.

    Of a word with spaces in it, such as a script for `sh -c`, only URLs and pairs are looked at.
    """
    found = (secret for flag, word in _with_flags(words) if (secret := literal_secret(flag, word)))
    return next(found, None)


def _with_flags(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each word with the name of the flag before it, which is empty if there is none, or if it has one letter."""
    flag = ""
    for word in words:
        yield ("" if word.startswith("-") else flag), word
        flag = word.lstrip("-") if re.fullmatch(r"-{1,2}[A-Za-z][A-Za-z0-9_.-]{1,80}", word) else ""


def _hidden(text: str) -> str:
    return _FILLED.sub(_MARK, _BRACES.sub("", text))


def _is_literal(hidden: str) -> bool:
    """Whether the value is written out. One that is partly filled in, as `Bearer ${TOKEN}`, is not."""
    value = hidden.strip()
    return bool(value) and _MARK not in value and not _PLAIN.fullmatch(value)


def _variable(name: str) -> str:
    """`DB_PASSWORD` for `--db-password` and `dbPassword`."""
    words = words_of(name).upper()
    return f"_{words}" if words[:1].isdigit() else words
