"""`cold_start: 8s`: the backend starts anew with the fault; who asks in the first 8 s waits until it is up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness import behaviour
from harness.faults.faked import Faked, holding
from harness.faults.fault import Circumstances, Effect, passing
from harness.fields import LongerDuration, refusal
from harness.units import spell_duration


class ColdStart(Faked):
    KIND: ClassVar = "cold_start"

    up_after_ms: LongerDuration = Field(alias="cold_start", description="How long it takes to be up")

    @property
    def text(self) -> str:
        return f"cold start, up after {spell_duration(self.up_after_ms)}"

    def compile(self, met: Circumstances) -> Effect:
        start = behaviour.ColdStart(up_after_ms=self.up_after_ms)
        # two canaries go out as soon as the fault is applied
        return holding(start, passing(met, delay_ms=self.up_after_ms / 2), met, at_most_ms=self.up_after_ms)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.up_after_ms > self.for_ms:
            yield (
                "cold_start",
                refusal("it is not up before the fault ends", "let `for` last longer, or use `hang: true`"),
            )
