"""What a login's answer means: the values that it saves, or why it failed, for people.

A failed login is reported with the beginning of the answer. That may hold the very token under a name that nobody gave,
so of an answer that was accepted only the shape is shown, and elsewhere what looks like a token is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jmespath
import orjson
from jmespath.exceptions import JMESPathError

from harness.rundir.planned.login import PlannedLogin
from harness.secrets.names import is_named_like_a_secret
from harness.secrets.redact import REDACTED, redact_beginning
from harness.secrets.syntax import HEADER_VALUE
from harness.text import one_line
from scenarios.drive.answer import has_expected_text, within

SHOWN_MOST: Final = 200
"""Characters of an answer that a message has."""
_READ_MOST: Final = 4_000
_LIKE_A_TOKEN: Final = re.compile(r"(?=[A-Za-z_.~+/=-]*[0-9])[A-Za-z0-9_.~+/=-]{20,}")
_KEYS_MOST: Final = 12
_DEPTH_MOST: Final = 3


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """`error`: why no whole answer came, for people; empty: it did."""

    status: int = 0
    body: bytes = b""
    location: str = ""
    """Where a redirect points."""
    error: str = ""


class LoginFailed(Exception):
    """A login that saved nothing. `reason` is a clause without secrets: `was answered 401: …`."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


def saved_values(
    login: PlannedLogin, ok: tuple[tuple[int, int], ...], answer: LoginAnswer, secrets: Collection[str]
) -> dict[str, str]:
    """What the login saves, by name. `ok`: ranges of accepted statuses. `secrets`: never shown. Raises LoginFailed."""
    if answer.error:
        raise LoginFailed(f"had no answer: {answer.error}", "see logs/sut.log in the run directory")
    if not within(answer.status, login.expect_status or ok) or 300 <= answer.status < 400:
        raise LoginFailed(f"was answered {answer.status}{_excerpt(answer, secrets)}", _fix(answer))
    if not has_expected_text(login, answer.body):
        raise LoginFailed(
            f"was answered {answer.status}, but not as its `expect` says{_shape_of(answer.body)}",
            "check `contains` and `lacks` of load.login.request.expect",
        )
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise LoginFailed(
            f"was answered {answer.status} with {len(answer.body):,} bytes that are not JSON",
            "name the request that answers with the token in JSON",
        ) from None
    return {name: _found(name, expression, document) for name, expression in login.save.items()}


def credentials(body: str | None, row: Mapping[str, str]) -> Iterator[str]:
    """The values that a login sent under names of secrets, which a server may echo."""
    yield from (value for name, value in row.items() if value and is_named_like_a_secret(name))
    yield from _secrets_in(_document((body or "").encode()))


def _document(body: bytes) -> Any:
    """The JSON document; None for anything else."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _secrets_in(document: Any) -> Iterator[str]:
    """The texts in a document that stand under names of secrets."""
    parts = [document]
    while parts:
        part = parts.pop()
        for name, value in part.items() if isinstance(part, dict) else ():
            if isinstance(value, str) and value and is_named_like_a_secret(name):
                yield value
        parts += [each for each in _inner(part) if isinstance(each, dict | list)]


def _inner(part: Any) -> Iterable[Any]:
    return part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _found(name: str, expression: str, document: Any) -> str:
    try:
        found = jmespath.search(expression, document)
    except JMESPathError:
        found = None
    if isinstance(found, bool) or not isinstance(found, str | int | float) or found == "":
        what = "nothing" if found in (None, "") else f"a {_kind(found)}, not a text"
        raise LoginFailed(
            f"was answered, but `{expression}` finds {what} for `{name}` in {_shape(document)}",
            "write the path of the value in load.login.save",
        )
    text = str(found)
    if not re.fullmatch(HEADER_VALUE, text):
        raise LoginFailed(
            f"was answered, but what `{expression}` finds for `{name}` has a line break or characters that are not "
            "Latin, so no request can carry it",
            "save another value",
        )
    return text


def _fix(answer: LoginAnswer) -> str:
    match answer.status:
        case 401 | 403:
            return "check the credentials that load.login.request sends"
        case 404 | 405:
            return "check method and path of load.login.request"
        case 400 | 415 | 422:
            return "check body and headers of load.login.request"
        case status if status < 300:
            return "check `status` in load.login.request.expect, or load.ok"
        case status if status < 400:
            return "name the request that answers with the token itself; redirects of a login are not followed"
        case _:
            return "see logs/sut.log in the run directory"


def _excerpt(answer: LoginAnswer, secrets: Collection[str]) -> str:
    if answer.location:
        return f", a redirect to {_hidden(answer.location.encode(), secrets)}"
    if not answer.body.strip():
        return ", with an empty body"
    document = _document(answer.body)
    if answer.status < 400 and document is not None:  # the server took it for a login, so a token is in it
        return f": {_shape(document)}"
    return f": {_hidden(answer.body, {*secrets, *_secrets_in(document)})}"


def _hidden(body: bytes, secrets: Collection[str]) -> str:
    """The beginning of a text without known secrets, and without what looks like a token."""
    text = redact_beginning(body, secrets, _READ_MOST).decode("utf-8", "replace")
    return one_line(_LIKE_A_TOKEN.sub(REDACTED, text), SHOWN_MOST)


def _shape_of(body: bytes) -> str:
    document = _document(body)
    return f": {_shape(document)}" if document is not None else f": {len(body):,} bytes that are not JSON"


def _shape(value: Any) -> str:
    """The keys of a document, without its texts."""
    return one_line(_shaped(value, 0), SHOWN_MOST)


def _shaped(value: Any, depth: int) -> str:
    if isinstance(value, dict) and depth < _DEPTH_MOST:
        keys = [f"{_LIKE_A_TOKEN.sub(REDACTED, key)}: {_shaped(item, depth + 1)}" for key, item in value.items()]
        return "{" + ", ".join(keys[:_KEYS_MOST]) + (", …" if len(keys) > _KEYS_MOST else "") + "}"
    if isinstance(value, list) and depth < _DEPTH_MOST:
        return "[" + (f"{_shaped(value[0], depth + 1)}, … ({len(value)})" if value else "") + "]"
    return {str: "text", bool: "boolean", int: "number", float: "number"}.get(type(value), _kind(value))


def _kind(value: Any) -> str:
    return {dict: "mapping", list: "list", bool: "boolean", type(None): "null"}.get(type(value), "value")
