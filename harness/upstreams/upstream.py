"""What every upstream is: the field all kinds share, and what a kind is planned as."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from pydantic import Field

from harness.part import Part
from harness.plan import PlannedUpstream


class Upstream(Part):
    """A backend that the service asks, reached through a listener of Toxiproxy."""

    KIND: ClassVar[str]

    port: int | None = Field(
        None, ge=1, le=65535, description="A fixed listener, for a service that knows its addresses already"
    )

    def plan(self, name: str, index: int, ports: Callable[[], int]) -> PlannedUpstream:
        raise NotImplementedError

    @property
    def answer_bytes(self) -> int:
        """What an answer to a canary surely holds."""
        raise NotImplementedError
