"""`slicer: {size: 1kB, delay: 10ms}`: data comes in small slices with a pause between them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.faults.fault import Effect, Fault, FaultContext, delayed_proof
from harness.model.strict_model import StrictModel
from harness.model.value_types import Bytes, Duration
from harness.units import duration_literal


class Slices(StrictModel):
    size_bytes: Bytes = Field(alias="size", description="Size of a slice, on average")
    delay_ms: Duration = Field(alias="delay", description="Pause between two slices")


class SlicerFault(Fault):
    KIND: ClassVar = "slicer"

    slicer: Slices

    @property
    def text(self) -> str:
        return f"slices of {self.slicer.size_bytes} B every {duration_literal(self.slicer.delay_ms)}"

    def compile(self, ctx: FaultContext) -> Effect:
        pauses = self.carried_bytes(ctx) // self.slicer.size_bytes
        return Effect(
            held_ms=ctx.hold_ms,
            proof=delayed_proof(ctx, delay_ms=pauses * self.slicer.delay_ms),
            toxics=(
                self.toxic(
                    "slicer",
                    average_size=self.slicer.size_bytes,
                    size_variation=0,
                    delay=round(self.slicer.delay_ms * 1000),  # Toxiproxy: microseconds
                ),
            ),
        )
