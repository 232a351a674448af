"""`redirect_loop: true`: every address redirects to itself, so only a client that limits redirects returns."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness.faults.faked import BackendFault, immediate
from harness.faults.fault import Effect, FaultContext
from harness.rundir.planned import behaviours
from harness.rundir.planned.fault import Proof


class RedirectLoopFault(BackendFault):
    KIND: ClassVar = "redirect_loop"

    redirect_loop: Literal[True] = Field(description="Redirect every address to itself")

    @property
    def text(self) -> str:
        return "redirect loop"

    def compile(self, ctx: FaultContext) -> Effect:
        return immediate(behaviours.RedirectLoop(), Proof(kind="answered", status=302))
