"""`slow_close: 5s`: answers come in time, but the connection's end comes that much later."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.faults.fault import Effect, Fault, FaultContext, delayed_proof, whole_ms
from harness.model.value_types import LongerDuration
from harness.units import duration_literal


class SlowCloseFault(Fault):
    KIND: ClassVar = "slow_close"

    slow_close_ms: LongerDuration = Field(alias="slow_close", description="How late the connection closes")

    @property
    def text(self) -> str:
        return f"slow close {duration_literal(self.slow_close_ms)}"

    def compile(self, ctx: FaultContext) -> Effect:
        return Effect(
            held_ms=min(self.slow_close_ms, ctx.hold_ms),
            proof=delayed_proof(ctx, delay_ms=self.slow_close_ms),
            toxics=(self.toxic("slow_close", delay=whole_ms(self.slow_close_ms)),),
            delay_ms=self.slow_close_ms,
        )
