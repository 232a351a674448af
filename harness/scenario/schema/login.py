"""`load.login`: sessions that sign in before the load, and what the requests get of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from harness.model.strict_model import StrictModel
from harness.model.value_types import LongerDuration, kind_of, refusal
from harness.scenario.schema.jmespath_syntax import jmespath_refusal
from harness.scenario.schema.requests import SentRequest
from harness.scenario.schema.templates import CA_TEMPLATE
from harness.units import duration_literal

SAVED_MOST: Final = 20
PER_SECOND_MOST: Final = 10
"""More logins a second would be a load of their own beside the one that is measured."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_TAKEN: Final = ("port", CA_TEMPLATE)
_EXAMPLE: Final = "write {token: access_token}"


def _saved(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise refusal(f"expected a mapping of names to JMESPath expressions, not {kind_of(value)}", _EXAMPLE)
    if len(value) > SAVED_MOST:
        raise refusal(f"more than {SAVED_MOST} names are too many here", "write fewer")
    for name, expression in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise refusal(f"`{name}` is not a name that requests can use", f"{_EXAMPLE}: letters, digits and _")
        if name in _TAKEN:
            raise refusal(f"`{{{name}}}` has a meaning of its own", "choose another name")
        if not isinstance(expression, str) or not expression.strip():
            raise refusal(f"`{name}` needs a JMESPath expression, not {kind_of(expression)}", _EXAMPLE)
        if found := jmespath_refusal(expression, "such as data.access_token"):
            raise found
    return value


Saved = Annotated[
    dict[str, str],
    PlainValidator(
        _saved, json_schema_input_type=Annotated[dict[str, str], Field(min_length=1, max_length=SAVED_MOST)]
    ),
]


class Login(StrictModel):
    """Signs in `users` sessions before t = 0, which the requests share in turn."""

    SHORT_FOR: ClassVar = ""

    request: SentRequest = Field(description="METHOD PATH, or a mapping; it is no part of the load")
    save: Saved = Field(description="Names for requests, each with a JMESPath expression for the login's JSON answer")
    users: int = Field(10, ge=1, le=10_000, description="How many sessions there are")
    every_ms: LongerDuration | None = Field(
        None, alias="every", description="A session is renewed so long after it began; default: never"
    )

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        if self.every_ms is not None and self.users * 1000 / self.every_ms > PER_SECOND_MOST:
            least = duration_literal(-(-self.users * 1000 // PER_SECOND_MOST))
            found = f"{self.users} sessions renewed every {duration_literal(self.every_ms)} are a load of their own"
            yield "every", refusal(found, f"write at least {least}, or fewer `users`")
