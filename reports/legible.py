"""Text from outside as a report may show it: legible, and without what looks like a secret.

Names, log lines and reasons come from scenarios, services and backends. Escaping for HTML, Markdown or XML is each
format's own; this is what every one of them does first. Secrets that came from `${VAR}` are known by their value and
were taken out before (`harness.environment`); here go those of others, by how they look.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from harness.legible import legible

_MASK: Final = "•••"
_SECRET_KEY: Final = re.compile(
    r"authorization|cookie|passw|passphrase|secret|token|api[-_]?key|access[-_]?key|credential|private[-_]?key", re.I
)
_SECRETS: Final = (
    (re.compile(r"(://[^\s/@:]*:)[^\s/@]+(?=@)"), rf"\1{_MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{6,}"), rf"\1 {_MASK}"),
    (re.compile(r"(?i)((?:[a-z0-9_-]*(?:token|secret|passw(?:or)?d|api[-_]?key))=)[^\s&;,\"']+"), rf"\1{_MASK}"),
)


def redacted(text: str) -> str:
    """`text` without passwords in URLs, bearer tokens and `token=…`; `${VAR}` is not a secret and stays."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(partial(_replaced, replacement), text)
    return text


def shown(text: str) -> str:
    """`text` as a report may show it."""
    return legible(redacted(text))


def redacted_document(value: Any) -> Any:
    """A JSON-like document with the values under secret-looking keys masked and all strings redacted."""
    if isinstance(value, dict):
        return {redacted(str(key)): _masked(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_document(item) for item in value]
    return redacted(value) if isinstance(value, str) else value


def _replaced(replacement: str, match: re.Match[str]) -> str:
    return match[0] if "${" in match[0] else match.expand(replacement)


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, str) and value and _SECRET_KEY.search(key) and "${" not in value:
        return _MASK
    return redacted_document(value)
