"""`empty: true`: a correct answer without a single offer, as of a provider that has nothing to sell."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness.faults.faked import BackendFault, immediate
from harness.faults.fault import Effect, FaultContext
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import Proof


class EmptyFault(BackendFault):
    KIND: ClassVar = "empty"

    empty: Literal[True] = Field(description="Answer correctly, without any offer")

    @property
    def text(self) -> str:
        return "empty catalog"

    def compile(self, ctx: FaultContext) -> Effect:
        return immediate(behaviours.Empty(), Proof(kind="answered", status=200, looks="no_offers"))
