"""`kill: true`: the process is killed by SIGKILL, and started again when the fault is removed."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness.faults.fault import FAILED, Effect, FaultContext
from harness.faults.process_fault import ProcessFault


class KillFault(ProcessFault):
    KIND: ClassVar = "kill"
    ACT: ClassVar = "kill"

    kill: Literal[True] = Field(
        description="SIGKILL at the beginning, started again at the end; of a `command` upstream, or of the service"
    )

    def compile(self, ctx: FaultContext) -> Effect:
        if self.on_service:
            return self.service_effect()
        # without its process an upstream refuses connections, and Toxiproxy would accept them and close them
        return Effect(held_ms=0.0, proof=FAILED, disables_proxy=True, process=self.ACT)
