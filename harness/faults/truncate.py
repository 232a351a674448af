"""`truncate: 50%`: the head announces the whole body, half of it comes, then the connection closes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field
from pydantic_core import PydanticCustomError

from harness.faults.faked import BackendFault, immediate
from harness.faults.fault import FAILED, Effect, FaultContext
from harness.model.value_types import Share, refusal
from harness.rundir.planned import behaviours
from harness.units import format_share


class TruncateFault(BackendFault):
    KIND: ClassVar = "truncate"

    keep: Share = Field(alias="truncate", description="The share of the body that is sent; less than 100%")

    @property
    def text(self) -> str:
        return f"body cut after {format_share(self.keep)}"

    def compile(self, ctx: FaultContext) -> Effect:
        return immediate(behaviours.Truncate(keep=self.keep), FAILED)

    def findings(self) -> Iterator[tuple[str, PydanticCustomError]]:
        yield from super().findings()
        if self.keep >= 1:
            yield "truncate", refusal("a body of which 100% comes is not cut", "write less, such as 50%")
