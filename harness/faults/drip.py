"""`drip: 30s`: the head comes at once, the body evenly over 30 s. Timeouts that count each read never fire."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness import behaviour
from harness.faults.faked import Faked, holding
from harness.faults.fault import Circumstances, Effect, held
from harness.fields import LongerDuration
from harness.units import spell_duration


class Drip(Faked):
    KIND: ClassVar = "drip"

    over_ms: LongerDuration = Field(alias="drip", description="How long the body of an answer takes")

    @property
    def text(self) -> str:
        return f"body over {spell_duration(self.over_ms)}"

    def compile(self, met: Circumstances) -> Effect:
        drip = behaviour.Drip(over_ms=self.over_ms)
        return holding(drip, held(met, delay_ms=self.over_ms), met, at_most_ms=self.over_ms)
