"""What every upstream is: the field all kinds share, and what a kind is planned as."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from pydantic import Field

from harness.part import Part
from harness.plan import PlannedUpstream
from harness.upstreams.recording import Points

GENERIC: Final = "generic"
"""The wire shape that the reference aggregator speaks."""


class Upstream(Part):
    """A backend that the service asks, reached through a listener of Toxiproxy."""

    KIND: ClassVar[str]

    port: int | None = Field(
        None, ge=1, le=65535, description="A fixed listener, for a service that knows its addresses already"
    )

    @property
    def wire_shape(self) -> str | None:
        """The provider whose shape it speaks, where that is known."""
        return None

    @property
    def recording(self) -> str | None:
        """The file of recorded latencies that it names, as it is written."""
        return None

    def plan(self, name: str, index: int, ports: Callable[[], int], recorded: Points = ()) -> PlannedUpstream:
        """`recorded`: what its `recording` came to; none is read here."""
        raise NotImplementedError

    @property
    def answer_bytes(self) -> int:
        """What an answer to a canary surely holds."""
        raise NotImplementedError

    @property
    def answer_bytes_most(self) -> int:
        """What an answer in health never exceeds."""
        raise NotImplementedError
