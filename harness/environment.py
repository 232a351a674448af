"""`${VAR}` and `${VAR:-default}`: filled in when the service starts, taken out again of what we keep.

plan.json holds the references, never the values. A value that came from the environment counts as a
secret if it is long enough to be one; replacing every `80` in a log would only destroy the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.errors import UsageError

REDACTED: Final = "***"
SECRET_LENGTH: Final = 6
REFERENCE: Final = r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}"
"""Name and default; braces within a default would make the search for its end take the square of the text."""
_REFERENCE = re.compile(REFERENCE)


@dataclass(slots=True)
class Expander:
    """Fills references in from `environ` and remembers which secret values it has given out."""

    environ: Mapping[str, str]
    secrets: set[str] = field(default_factory=set)

    def __call__(self, text: str) -> str:
        """Raises UsageError for a variable that is neither set nor has a default."""
        return _REFERENCE.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        value = self.environ.get(name)
        if value is None or (value == "" and default is not None):
            if default is None:
                raise UsageError(
                    f"the scenario uses ${{{name}}}, which is not set",
                    f"export {name}=…, or give it a default: ${{{name}:-…}}",
                )
            return default
        if len(value) >= SECRET_LENGTH:
            self.secrets.add(value)
        return value


def redact(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text


def redact_file(path: Path, secrets: Iterable[str]) -> None:
    """Rewrite a closed log without the secrets; a log that holds none is not touched. May raise OSError."""
    pending = sorted((secret.encode() for secret in secrets), key=len, reverse=True)
    if not pending or not path.exists():
        return
    before = path.read_bytes()
    after = before
    for secret in pending:
        after = after.replace(secret, REDACTED.encode())
    if after != before:
        path.write_bytes(after)
