"""`huge: 20MB`: the same offers in a large body, which costs the service memory and time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.faked import BackendFault, delayed
from harness.faults.fault import Effect, FaultContext, UnobservableFault
from harness.model.value_types import Bytes, refusal
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import Proof

LARGEST_BYTES: Final = 1_000_000_000
CANARY_READS_BYTES: Final = 4_000_000
"""A canary reads this much of a body at most."""


class HugeFault(BackendFault):
    KIND: ClassVar = "huge"

    size_bytes: Bytes = Field(alias="huge", description="Size of each answer's body")

    @property
    def text(self) -> str:
        return f"bodies of {self.size_bytes / 1e6:.3g} MB"

    def compile(self, ctx: FaultContext) -> Effect:
        if self.size_bytes < 2 * ctx.answer_bytes_most:
            least_kb = -(-2 * ctx.answer_bytes_most // 1000)
            raise UnobservableFault(
                f"an answer of these upstreams may have {ctx.answer_bytes_most / 1000:.0f} kB without the fault",
                f"write at least {least_kb}kB",
            )
        proof = Proof(kind="answered", status=200, least_bytes=min(self.size_bytes, CANARY_READS_BYTES))
        return delayed(behaviours.Huge(size_bytes=self.size_bytes), proof, ctx)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.size_bytes > LARGEST_BYTES:
            yield "huge", refusal("a body above 1 GB tests this machine rather than the service", "write at most 1GB")
