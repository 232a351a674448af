"""`down: true`: connections are refused and open ones closed, as if the backend's process had ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.fault import FAILED, Effect, Fault, FaultContext
from harness.model.value_types import refusal


class DownFault(Fault):
    KIND: ClassVar = "down"

    down: Literal[True] = Field(description="Refuse every connection")

    @property
    def text(self) -> str:
        return "down"

    def compile(self, ctx: FaultContext) -> Effect:
        return Effect(held_ms=0.0, proof=FAILED, disables_proxy=True)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if 0 < self.share < 1:
            problem = "`down` closes the listener, so it breaks every connection"
            yield "share", refusal(problem, "use `reset: 0s` for a share")
        if self.stream == "upstream":
            yield "stream", refusal("`down` closes the listener, so it acts in both directions", "remove `stream`")
