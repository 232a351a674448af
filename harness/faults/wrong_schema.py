"""`wrong_schema: true`: valid JSON of another shape, as after an unannounced release."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness.faults.faked import BackendFault, immediate
from harness.faults.fault import Effect, FaultContext
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import Proof


class WrongSchemaFault(BackendFault):
    KIND: ClassVar = "wrong_schema"

    wrong_schema: Literal[True] = Field(description="Answer valid JSON of another shape")

    @property
    def text(self) -> str:
        return "wrong schema"

    def compile(self, ctx: FaultContext) -> Effect:
        return immediate(behaviours.WrongSchema(), Proof(kind="answered", status=200, looks="no_offers"))
