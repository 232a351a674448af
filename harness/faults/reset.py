"""`reset: 0s`: the connection is reset (TCP RST) this long after the first bytes of the answer."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.faults.fault import CANARY_WAIT_MS, FAILED, Effect, Fault, FaultContext, delayed_proof, whole_ms
from harness.model.value_types import Duration
from harness.units import duration_literal


class ResetFault(Fault):
    KIND: ClassVar = "reset"

    reset_ms: Duration = Field(alias="reset", description="How long after the first bytes; 0s: at once")

    @property
    def text(self) -> str:
        return f"reset after {duration_literal(self.reset_ms)}"

    def compile(self, ctx: FaultContext) -> Effect:
        late = self.reset_ms >= CANARY_WAIT_MS
        return Effect(
            held_ms=min(self.reset_ms, ctx.hold_ms),
            # a canary gives up before so late a reset comes, so it is proven by the wait
            proof=delayed_proof(ctx, delay_ms=self.reset_ms) if late else FAILED,
            toxics=(self.toxic("reset_peer", timeout=whole_ms(self.reset_ms)),),
        )
