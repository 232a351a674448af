"""`hang: true`: connections stay open, and no answer comes until the fault is removed."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field

from harness.faults.fault import Effect, Fault, FaultContext, delayed_proof
from harness.rundir.planned import behaviours

FOR_EVER_MS: Final = 7 * 24 * 3600 * 1000


class HangFault(Fault):
    KIND: ClassVar = "hang"

    hang: Literal[True] = Field(description="Accept and never answer")

    @property
    def text(self) -> str:
        return "hang"

    @property
    def draws(self) -> Literal["connection", "request"]:
        chooses = self.share < 1 or self.by_call
        return "request" if chooses and self.stream == "downstream" else "connection"

    def compile(self, ctx: FaultContext) -> Effect:
        if ctx.fakes and self.draws == "request":
            return Effect(held_ms=ctx.hold_ms, proof=delayed_proof(ctx), behaviour=behaviours.Hang())
        # A delay longer than any run, not Toxiproxy's timeout toxic: that one drops the answer but passes on the
        # backend's close, so a client that sends `Connection: close` would be cut off at once instead of hanging.
        toxic = self.toxic("latency", latency=FOR_EVER_MS, jitter=0)
        return Effect(held_ms=ctx.hold_ms, proof=delayed_proof(ctx), toxics=(toxic,))
