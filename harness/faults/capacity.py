"""`capacity: 5`: the backend serves five calls at once, and the others wait in a queue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.faked import BackendFault, delayed
from harness.faults.fault import Effect, FaultContext
from harness.model.value_types import refusal
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import Proof


class CapacityFault(BackendFault):
    KIND: ClassVar = "capacity"

    limit: int = Field(alias="capacity", ge=1, le=10_000, description="How many calls the backend serves at once")

    @property
    def text(self) -> str:
        return f"capacity {self.limit}"

    def compile(self, ctx: FaultContext) -> Effect:
        # canaries do not queue, because they would make the queue longer; the proof is calls that had to wait
        return delayed(behaviours.Capacity(limit=self.limit), Proof(kind="called"), ctx)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.share < 1:
            yield "share", refusal("a capacity applies to the whole backend", "remove `share`")
        if self.first is not None:
            yield "first", refusal("a capacity applies to all calls at once", "remove `first`")
        if self.met == "optional":
            yield "met", refusal("only calls that had to wait can show that a capacity was there", "remove `met`")
