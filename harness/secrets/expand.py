"""`${VAR}` and `${VAR:-default}`: expanded when the service starts, and which of the values are secrets.

plan.json contains the references, never the values. A value from the environment counts as a secret if it is long
enough to be searched for: replacing every `80` in a log would only destroy the log. A shorter value counts if its
variable's name looks like a secret's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from harness.errors import UsageError
from harness.rundir.plan import Plan
from harness.rundir.planned.load import PlannedRequest
from harness.rundir.planned.login import PlannedLogin
from harness.secrets.names import is_named_like_a_secret
from harness.secrets.redact import SECRET_LENGTH
from harness.secrets.syntax import HEADER_VALUE, REFERENCE

WORD_LENGTH: Final = 4
"""Characters of the shortest secret that is redacted, and that only as a whole word."""
DIGITS_LEAST: Final = 16
"""A number of fewer digits is no token."""
_REFERENCE = re.compile(REFERENCE)
_PATH: Final = r"[\x21-\x7e]*"


@dataclass(slots=True)
class Expander:
    """Expands references from `environ`, and collects the secret values that it has inserted."""

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
    """Whether the value counts as a secret and is redacted."""
    length = len(value.strip())
    return length >= SECRET_LENGTH or (length >= WORD_LENGTH and is_named_like_a_secret(name))


def is_redactable_token(name: str, value: str) -> bool:
    """The same for a value that a login saved. A short number is an id, which stands in many places that say nothing of
    the login."""
    return is_redactable(name, value) and not (value.isdigit() and len(value) < DIGITS_LEAST)


def short_secrets(text: str, environ: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Variables in `text` with a secret's name and a value that is too short to be redacted, with their offsets."""
    for match in _REFERENCE.finditer(text):
        value = environ.get(match[1], "")
        if value.strip() and is_named_like_a_secret(match[1]) and not is_redactable(match[1], value):
            yield match[1], match.start()


def references_of(plan: Plan) -> Iterator[str]:
    """Every text of a plan in which variables are expanded, when the service starts or a request is sent."""
    service = plan.service
    yield from (*service.env.values(), *(service.argv or ()), service.url, *service.ready_headers.values())
    for command in (upstream.command for upstream in plan.upstreams if upstream.command):
        yield from (*command.argv, *command.env.values())
    yield from plan.load.locust_options
    for request in _sent(plan):
        yield from (request.path, request.body or "", *request.headers.values())


def _sent(plan: Plan) -> tuple[PlannedRequest | PlannedLogin, ...]:
    """Every request that the load sends, that of its login included."""
    return (*plan.load.requests, *((plan.load.login,) if plan.load.login else ()))


def known_secrets(plan: Plan, environ: Mapping[str, str]) -> set[str]:
    """The secret values that a run of this plan may print. Variables that are not set are ignored here."""
    expand = Expander(dict(environ))
    for text in references_of(plan):
        with suppress(UsageError):
            expand(text)
    return expand.secrets


def refuse_unsendable(plan: Plan, environ: Mapping[str, str]) -> None:
    """Raises UsageError if a variable's value makes a header or a path that no HTTP client would send.

    Most often the value ends in a line break. Every request would then fail, and the service would be blamed. Workers
    on other machines check the requests of the load themselves, by `refuse_unsendable_requests`.
    """
    _refuse_unsendable(plan.service.ready_headers.items(), (), environ)
    if plan.load.remote is None:
        refuse_unsendable_requests(plan, environ)


def refuse_unsendable_requests(plan: Plan, environ: Mapping[str, str]) -> None:
    """The same for the requests of the load alone."""
    headers = [item for each in _sent(plan) for item in each.headers.items()]
    paths = [(f"`{request.name}`", request.path) for request in plan.load.requests]
    paths += [("the login", login.path) for login in (plan.load.login,) if login]
    _refuse_unsendable(headers, paths, environ)


def _refuse_unsendable(
    headers: Iterable[tuple[str, str]], paths: Iterable[tuple[str, str]], environ: Mapping[str, str]
) -> None:
    """`paths`: whose path it is, and the path."""
    expand = Expander(dict(environ))
    texts = [(f"the header `{name}`", value, HEADER_VALUE) for name, value in headers]
    texts += [(f"the path of {whose}", path, _PATH) for whose, path in paths]
    for what, text, allowed in texts:
        if _REFERENCE.search(text) and not re.fullmatch(allowed, expand(text)):
            names = ", ".join(f"${{{match[1]}}}" for match in _REFERENCE.finditer(text))
            raise UsageError(
                f"the value of {names} cannot be sent in {what}: it has a line break or characters that are not Latin",
                f'a value read from a file often ends in a line break: export {names[2:-1]}="$(cat FILE)"',
            )
