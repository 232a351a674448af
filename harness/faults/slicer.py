"""`slicer: {size: 1kB, delay: 10ms}`: data comes in small slices with a pause between them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.faults.fault import Circumstances, Effect, Fault, held
from harness.fields import Bytes, Duration
from harness.part import Part
from harness.units import spell_duration


class Slices(Part):
    size_bytes: Bytes = Field(alias="size", description="Of a slice, on average")
    delay_ms: Duration = Field(alias="delay", description="Between two slices")


class Slicer(Fault):
    KIND: ClassVar = "slicer"

    slicer: Slices

    @property
    def text(self) -> str:
        return f"slices of {self.slicer.size_bytes} B every {spell_duration(self.slicer.delay_ms)}"

    def compile(self, met: Circumstances) -> Effect:
        pauses = self.carried_bytes(met) // self.slicer.size_bytes
        return Effect(
            held_ms=met.hold_ms,
            proof=held(met, delay_ms=pauses * self.slicer.delay_ms),
            toxics=(
                self.toxic(
                    "slicer",
                    average_size=self.slicer.size_bytes,
                    size_variation=0,
                    delay=round(self.slicer.delay_ms * 1000),  # Toxiproxy: microseconds
                ),
            ),
        )
