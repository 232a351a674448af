"""`bandwidth: 64kB/s`: answers trickle in. A timeout that applies to each socket read never fires."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.fault import Effect, Fault, FaultContext, delayed_proof
from harness.model.value_types import BytesPerSecond, refusal


class BandwidthFault(Fault):
    KIND: ClassVar = "bandwidth"

    bytes_per_s: BytesPerSecond = Field(alias="bandwidth", description="Of each connection, in whole kB per second")

    @property
    def text(self) -> str:
        return f"bandwidth {self.bytes_per_s // 1000}kB/s"

    def compile(self, ctx: FaultContext) -> Effect:
        takes_ms = 1000 * self.carried_bytes(ctx) / self.bytes_per_s
        return Effect(
            held_ms=ctx.hold_ms,
            proof=delayed_proof(ctx, delay_ms=takes_ms),
            toxics=(self.toxic("bandwidth", rate=self.bytes_per_s // 1000),),
        )

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.bytes_per_s < 1000 or self.bytes_per_s % 1000:
            fix = f"write {max(1, round(self.bytes_per_s / 1000))}kB/s"
            yield "bandwidth", refusal("Toxiproxy keeps whole kilobytes (1000 B) per second", fix)
