"""The base of every kind of upstream: the fields that all kinds share, and how a kind is planned."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.model.strict_model import StrictModel
from harness.model.value_types import kind_of, refusal, shortened
from harness.rundir.planned.forwarding import CANARY_BODY_BYTES
from harness.rundir.planned.protocol import ProtocolName
from harness.rundir.planned.upstream import PlannedUpstream
from harness.upstreams.protocols import CanarySize, canary_size
from harness.upstreams.upstream_files import NO_INPUTS, UpstreamInputs, UpstreamReader

SPELLINGS_MOST: Final = 20
SPELLING_CHARACTERS_MOST: Final = 100
CANARY_REQUEST_BYTES: Final = 100
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


def past_the_listener() -> PydanticCustomError:
    """What is wrong with an upstream that speaks Kafka, if it has no fixed port."""
    return refusal(
        "a Kafka client connects to the address that the broker advertises, and so past the listener",
        "give it a fixed `port`, and let the broker advertise 127.0.0.1 with that port",
    )


class Upstream(StrictModel):
    """A backend that the service asks, reached through a listener of Toxiproxy."""

    KIND: ClassVar[str]
    """Its name in a plan, and in `harness.upstreams.probes.PROBES`."""
    CALLED: ClassVar[str] = "an upstream of another kind"
    """The kind in messages."""

    port: int | None = Field(
        None, ge=1, le=65535, description="A fixed listener, for a service that knows its addresses already"
    )

    known_as: Annotated[tuple[Spelling, ...], Field(max_length=SPELLINGS_MOST)] = Field(
        (), description="How the service spells it besides, in its log or in the labels of its alert"
    )

    @property
    def has_known_address(self) -> bool:
        """Whether a service may be configured with the listener's address before a run."""
        return self.port is not None

    @property
    def target(self) -> str | None:
        """The URL of what the calls of the service reach in the end, without user, path and query; None: it is ours."""
        return None

    @property
    def argv(self) -> tuple[str, ...]:
        """The command by which tailgate starts it; empty: tailgate does not start it."""
        return ()

    @property
    def environment(self) -> Mapping[str, str]:
        """What the scenario adds to the environment of its command."""
        return {}

    @property
    def borrowed_proxy(self) -> str | None:
        """The name of the proxy that exists already on the user's Toxiproxy; None: the proxy is a run's own."""
        return None

    @property
    def recording(self) -> tuple[str, str] | None:
        """The HAR file that it plays, as written, and the host of that file, empty for its only one; None: no file."""
        return None

    @property
    def has_written_answers(self) -> bool:
        """Whether its answers are written in the scenario."""
        return False

    @property
    def needs_address(self) -> bool:
        """Whether its clients must be told the address of the listener, since its name is another one in their URL."""
        return False

    @property
    def wire_shape(self) -> str | None:
        """The provider whose wire shape it speaks; None if that is not known."""
        return None

    @property
    def terminates_tls(self) -> bool:
        """Whether the service speaks TLS with what we have behind the listener."""
        return False

    @property
    def records_calls(self) -> bool:
        """Whether the calls that reach it are recorded, by the fakes' process. If so, it can break single answers."""
        return False

    def recorded_if(self) -> str:
        """What to change so that its calls are recorded, as the beginning of a fix; empty: nothing would do it, or they
        are."""
        return ""

    @property
    def has_password(self) -> bool:
        """Whether the server may ask for a password, which a canary does not have."""
        return False

    @property
    def protocol(self) -> ProtocolName:
        """How a canary asks it. Kinds with a probe of their own may keep this."""
        return "tcp"

    def read_inputs(self, reader: UpstreamReader) -> UpstreamInputs:
        """What the files contain that the scenario names for this upstream."""
        return NO_INPUTS

    def carries_mark(self, inputs: UpstreamInputs) -> bool:
        """Whether a client's answer shows that it contains something of this upstream, as `complete: auto` needs."""
        return False

    def plan(
        self, name: str, index: int, ports: Callable[[], int], inputs: UpstreamInputs = NO_INPUTS
    ) -> PlannedUpstream:
        """The upstream of a plan. `inputs`: what `read_inputs` returned, because no file is read here."""
        raise NotImplementedError

    def answer_bytes(self, inputs: UpstreamInputs = NO_INPUTS) -> tuple[int, int]:
        """The least size of the answer to a canary, and the most that a healthy answer can have, in bytes."""
        return self.canary.least, self.canary.most

    @property
    def canary(self) -> CanarySize:
        """The sizes of a canary, as far as they do not depend on files."""
        if self.records_calls:
            return CanarySize(CANARY_BODY_BYTES, CANARY_BODY_BYTES, CANARY_REQUEST_BYTES)
        return canary_size(self.protocol, has_password=self.has_password)
