"""The base of every kind of upstream: the fields that all kinds share, and how a kind is planned."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from harness.model.strict_model import StrictModel
from harness.model.value_types import kind_of, refusal, shortened
from harness.rundir.plan import PlannedUpstream
from harness.upstreams.recording import Points

SPELLINGS_MOST: Final = 20
SPELLING_CHARACTERS_MOST: Final = 100
GENERIC: Final = "generic"
"""The wire shape that the reference aggregator speaks."""


def _spelling(value: Any) -> str:
    if not isinstance(value, str):
        raise refusal(f"expected a spelling, not {kind_of(value)}", "a list of words, such as [BackendType.AZURE]")
    if not re.search(r"\w", value) or value != value.strip() or len(value) > SPELLING_CHARACTERS_MOST:
        found = f"`{shortened(value)}` cannot be found in a log"
        fix = (
            f"write it as the service does, without blanks around it, in {SPELLING_CHARACTERS_MOST} characters at most"
        )
        raise refusal(found, fix)
    return value


Spelling = Annotated[
    str,
    BeforeValidator(_spelling),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": SPELLING_CHARACTERS_MOST}),
]


class Upstream(StrictModel):
    """A backend that the service asks, reached through a listener of Toxiproxy."""

    KIND: ClassVar[str]
    """Its name in a plan, and in `harness.upstreams.probes.PROBES`."""

    port: int | None = Field(
        None, ge=1, le=65535, description="A fixed listener, for a service that knows its addresses already"
    )

    known_as: Annotated[tuple[Spelling, ...], Field(max_length=SPELLINGS_MOST)] = Field(
        (), description="How the service spells it besides, in its log or in the labels of its alert"
    )

    @classmethod
    def reads(cls, raw: dict[str, Any]) -> bool:
        """Whether a mapping of a scenario is an upstream of this kind."""
        raise NotImplementedError

    @property
    def wire_shape(self) -> str | None:
        """The provider whose wire shape it speaks; None if that is not known."""
        return None

    @property
    def recording(self) -> str | None:
        """The file of recorded latencies, as the scenario writes it; None if it has none."""
        return None

    def plan(self, name: str, index: int, ports: Callable[[], int], recorded: Points = ()) -> PlannedUpstream:
        """The upstream of a plan. `recorded`: the points of its `recording`, because no file is read here."""
        raise NotImplementedError

    @property
    def answer_bytes(self) -> int:
        """The least size of the answer to a canary, in bytes."""
        raise NotImplementedError

    @property
    def answer_bytes_most(self) -> int:
        """The most that a healthy answer can have, in bytes."""
        raise NotImplementedError
