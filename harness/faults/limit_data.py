"""`limit_data: 1kB`: the connection closes after so many bytes; answers arrive cut short."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.faults.fault import FAILED, Effect, Fault, FaultContext, UnobservableFault
from harness.model.value_types import Bytes


class LimitDataFault(Fault):
    KIND: ClassVar = "limit_data"

    limit_bytes: Bytes = Field(alias="limit_data", description="After how many bytes the connection closes")

    @property
    def text(self) -> str:
        return f"cut after {self.limit_bytes} B"

    def compile(self, ctx: FaultContext) -> Effect:
        carried = self.carried_bytes(ctx)
        if self.limit_bytes >= carried:
            more = ", or more `rows`" if self.stream == "downstream" and ctx.fakes else ""
            raise UnobservableFault(
                f"a whole canary ({carried} bytes) fits into {self.limit_bytes} bytes, so nothing would be cut",
                f"write less than {carried}B{more}",
            )
        return Effect(held_ms=0.0, proof=FAILED, toxics=(self.toxic("limit_data", bytes=self.limit_bytes),))
