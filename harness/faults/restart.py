"""`restart: true`: the service under test is ended by SIGTERM and started again at once, as in a deployment."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness.faults.fault import Effect, FaultContext
from harness.faults.process_fault import ProcessFault


class RestartFault(ProcessFault):
    KIND: ClassVar = "restart"
    ACT: ClassVar = "restart"
    ON_UPSTREAMS: ClassVar = False

    restart: Literal[True] = Field(
        description="SIGTERM, and started again at once; the service only. It must be ready again within `for`"
    )

    def compile(self, ctx: FaultContext) -> Effect:
        return self.service_effect()
