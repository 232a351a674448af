"""`blackhole: true`: packets that open a connection are dropped, as by a firewall: connecting hangs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.fault import Effect, Fault, FaultContext, delayed_proof
from harness.model.value_types import refusal


class BlackholeFault(Fault):
    KIND: ClassVar = "blackhole"
    ACTS_ON: ClassVar = "listener"

    blackhole: Literal[True] = Field(description="Answer no attempt to connect; `hang` accepts connections")

    @property
    def text(self) -> str:
        return "blackhole"

    def compile(self, ctx: FaultContext) -> Effect:
        return Effect(held_ms=ctx.hold_ms, proof=delayed_proof(ctx), disables_proxy=True, drops_connections=True)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if 0 < self.share < 1:
            problem = "`blackhole` takes the listener away, so it breaks every connection"
            yield "share", refusal(problem, "use `hang` for a share")
        if self.stream == "upstream":
            problem = "`blackhole` takes the listener away, so it acts in both directions"
            yield "stream", refusal(problem, "remove `stream`")
