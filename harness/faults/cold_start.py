"""`cold_start: 8s`: the backend restarts when the fault begins, and a call in the first 8 s waits until it is ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.faked import BackendFault, delayed
from harness.faults.fault import Effect, FaultContext, intermittent_proof
from harness.model.value_types import LongerDuration, refusal
from harness.rundir.planned import behaviours
from harness.units import duration_literal


class ColdStartFault(BackendFault):
    KIND: ClassVar = "cold_start"

    up_after_ms: LongerDuration = Field(alias="cold_start", description="How long the backend takes to start")

    @property
    def text(self) -> str:
        return f"cold start, up after {duration_literal(self.up_after_ms)}"

    def compile(self, ctx: FaultContext) -> Effect:
        start = behaviours.ColdStart(up_after_ms=self.up_after_ms)
        # The first two canaries are sent right after the fault is applied, so they wait for nearly all of the start. A
        # wait of half of it is proof enough.
        return delayed(start, intermittent_proof(ctx, delay_ms=self.up_after_ms / 2), ctx, at_most_ms=self.up_after_ms)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.up_after_ms > self.for_ms:
            yield (
                "cold_start",
                refusal(
                    f"the backend takes {duration_literal(self.up_after_ms)} to start, and the fault ends before",
                    f"write `for: {duration_literal(self.up_after_ms)}` or more; if it should never answer, write "
                    "`hang: true`",
                ),
            )
