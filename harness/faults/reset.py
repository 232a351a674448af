"""`reset: 0s`: the connection is reset (RST) that long after the first bytes of the answer."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.faults.fault import CANARY_WAIT_MS, FAILED, Circumstances, Effect, Fault, held, whole_ms
from harness.fields import Duration
from harness.units import spell_duration


class Reset(Fault):
    KIND: ClassVar = "reset"

    reset_ms: Duration = Field(alias="reset", description="How long after the first bytes; 0s: at once")

    @property
    def text(self) -> str:
        return f"reset after {spell_duration(self.reset_ms)}"

    def compile(self, met: Circumstances) -> Effect:
        late = self.reset_ms >= CANARY_WAIT_MS
        return Effect(
            held_ms=min(self.reset_ms, met.hold_ms),
            # a canary does not wait for a reset that comes after it has given up
            proof=held(met, delay_ms=self.reset_ms) if late else FAILED,
            toxics=(self.toxic("reset_peer", timeout=whole_ms(self.reset_ms)),),
        )
