"""`drip: 30s`: the head comes at once, the body evenly over 30 s. A timeout that applies to each read never fires."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.faults.faked import BackendFault, delayed
from harness.faults.fault import Effect, FaultContext, delayed_proof
from harness.model.value_types import LongerDuration
from harness.rundir.planned import behaviours
from harness.units import duration_literal


class DripFault(BackendFault):
    KIND: ClassVar = "drip"

    over_ms: LongerDuration = Field(alias="drip", description="How long the body of an answer takes")

    @property
    def text(self) -> str:
        return f"body over {duration_literal(self.over_ms)}"

    def compile(self, ctx: FaultContext) -> Effect:
        drip = behaviours.Drip(over_ms=self.over_ms)
        return delayed(drip, delayed_proof(ctx, delay_ms=self.over_ms), ctx, at_most_ms=self.over_ms)
