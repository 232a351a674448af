"""`slow_close: 5s`: answers come in time, but the connection's end comes that much later."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.faults.fault import Circumstances, Effect, Fault, held, whole_ms
from harness.fields import LongerDuration
from harness.units import spell_duration


class SlowClose(Fault):
    KIND: ClassVar = "slow_close"

    slow_close_ms: LongerDuration = Field(alias="slow_close", description="How late the connection closes")

    @property
    def text(self) -> str:
        return f"slow close {spell_duration(self.slow_close_ms)}"

    def compile(self, met: Circumstances) -> Effect:
        return Effect(
            held_ms=min(self.slow_close_ms, met.hold_ms),
            proof=held(met, delay_ms=self.slow_close_ms),
            toxics=(self.toxic("slow_close", delay=whole_ms(self.slow_close_ms)),),
            delay_ms=self.slow_close_ms,
        )
