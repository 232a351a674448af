"""`${VAR}` and `${VAR:-default}`: filled in when the service starts, taken out again of what we keep.

plan.json holds the references, never the values. A value that came from the environment counts as a secret if it is
long enough to be found again: replacing every `80` in a log would only destroy the log. A short one counts where its
variable is called like a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from harness.errors import UsageError
from harness.rundir.plan import Plan
from harness.secrets.redact import SECRET_LENGTH, SECRET_NAME

WORD_LENGTH: Final = 4
"""The shortest secret that is looked for, and then as a word of its own."""
REFERENCE: Final = r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}"
"""Name and default; braces within a default would make the search for its end take the square of the text."""
_REFERENCE = re.compile(REFERENCE)
HEADER_VALUE: Final = r"[\t\x20-\x7e\xa0-\xff]*"
_PATH: Final = r"[\x21-\x7e]*"


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
        if is_redactable(name, value):
            self.secrets.add(value)
        return value


def is_redactable(name: str, value: str) -> bool:
    """Whether the value is taken out of what a run leaves."""
    length = len(value.strip())
    return length >= SECRET_LENGTH or (length >= WORD_LENGTH and is_named_like_a_secret(name))


def short_secrets(text: str, environ: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Variables in `text` that are called like a secret and are too short to be found again, with their offsets."""
    for match in _REFERENCE.finditer(text):
        value = environ.get(match[1], "")
        if value.strip() and is_named_like_a_secret(match[1]) and not is_redactable(match[1], value):
            yield match[1], match.start()


def references_of(plan: Plan) -> Iterator[str]:
    """Every text of a plan in which variables are filled in, by whoever starts the service or sends the request."""
    service = plan.service
    yield from (*service.env.values(), *(service.argv or ()), service.url, *service.ready_headers.values())
    for request in plan.load.requests:
        yield from (request.path, request.body or "", *request.headers.values())


def known_secrets(plan: Plan, environ: Mapping[str, str]) -> set[str]:
    """The secret values that a run of this plan may print. Variables that are not set are ignored here."""
    expand = Expander(dict(environ))
    for text in references_of(plan):
        with suppress(UsageError):
            expand(text)
    return expand.secrets


def refuse_unsendable(plan: Plan, environ: Mapping[str, str]) -> None:
    """Raises UsageError where a variable makes a header or a path that no HTTP client would send.

    Most often it ends in a line break. Unrefused, every request would fail, and the service be blamed for it.
    """
    expand = Expander(dict(environ))
    headers = [
        *plan.service.ready_headers.items(),
        *(item for each in plan.load.requests for item in each.headers.items()),
    ]
    texts = [(f"the header `{name}`", value, HEADER_VALUE) for name, value in headers]
    texts += [(f"the path of `{request.name}`", request.path, _PATH) for request in plan.load.requests]
    for what, text, allowed in texts:
        if _REFERENCE.search(text) and not re.fullmatch(allowed, expand(text)):
            names = ", ".join(f"${{{match[1]}}}" for match in _REFERENCE.finditer(text))
            raise UsageError(
                f"what {names} stands for cannot be sent in {what}: it holds a line break, or what is not Latin",
                f'a value read from a file often ends in a line break: export {names[2:-1]}="$(cat FILE)"',
            )


def is_named_like_a_secret(name: str) -> bool:
    return SECRET_NAME.search(name) is not None or re.search(r"(?i)(^|_)(pass|pwd|pin|key|auth)(_|$)", name) is not None
