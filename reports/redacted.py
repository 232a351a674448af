"""Untrusted text as a report may show it: with hidden characters spelled out, and without what looks like a secret.

Names, log lines and reasons come from scenarios, services and backends. Each format escapes for HTML, Markdown or XML
by itself; this module is what every format applies first. Secrets that came from `${VAR}` are known by their value and
were removed before (`harness.secrets.redact`); other secrets are recognised here by their form.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from harness.secrets.names import is_named_like_a_secret
from harness.text import cut, sanitize

SHOWN_MOST: Final = 4_000
"""Characters of one untrusted text."""
_MASK: Final = "•••"
_SECRETS: Final = (
    (re.compile(r"(://[^\s/@:]*:)[^\s/@]+(?=@)"), rf"\1{_MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{6,}"), rf"\1 {_MASK}"),
    # what stands before these words stays anyway, and looking for its beginning would take the square of its length
    (re.compile(r"(?i)((?:token|secret|passw(?:or)?d|api[-_]?key)=)[^\s&;,\"']+"), rf"\1{_MASK}"),
)


def redacted(text: str) -> str:
    """`text` without passwords in URLs, bearer tokens and `token=…`; `${VAR}` is not a secret and stays."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(partial(_replaced, replacement), text)
    return text


def shown(text: str, most: int = SHOWN_MOST) -> str:
    """`text` as a report may show it."""
    return sanitize(_short(text, most))


def redacted_document(value: Any) -> Any:
    """A JSON-like document with the values under secret-looking keys masked and all strings redacted."""
    if isinstance(value, dict):
        return {redacted(cut(str(key), SHOWN_MOST)): _masked(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_document(item) for item in value]
    return _short(value) if isinstance(value, str) else value


def _short(text: str, most: int = SHOWN_MOST) -> str:
    """Redacted, then cut: half a secret could not be recognised any more. Hidden characters stay as they are."""
    if len(text) <= most:
        return redacted(text)
    words, space, _ = text[: 2 * most].rpartition(" ")
    return f"{redacted(words if space else text[: 2 * most])[:most]}… (cut, {len(text):,} characters)"


def _replaced(replacement: str, match: re.Match[str]) -> str:
    return match[0] if "${" in match[0] else match.expand(replacement)


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, str) and value and is_named_like_a_secret(key) and "${" not in value:
        return _MASK
    return redacted_document(value)
