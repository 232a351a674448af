"""`pause: true`: the process is stopped by SIGSTOP, as in a long garbage collection, and continues when the fault is
removed."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness.faults.fault import Effect, FaultContext, delayed_proof
from harness.faults.process_fault import ProcessFault


class PauseFault(ProcessFault):
    KIND: ClassVar = "pause"
    ACT: ClassVar = "pause"

    pause: Literal[True] = Field(
        description="SIGSTOP at the beginning, SIGCONT at the end; of a `command` upstream, or of the service"
    )

    def compile(self, ctx: FaultContext) -> Effect:
        if self.on_service or ctx.forwarded:
            return self.service_effect()  # the forwarder answers canaries itself, so they cannot see its origin
        return Effect(held_ms=0.0, proof=delayed_proof(ctx), process=self.ACT)
